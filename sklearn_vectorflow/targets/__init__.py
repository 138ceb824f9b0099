"""Encoding of y: classes and labels as numbers, class weights, times to an event."""

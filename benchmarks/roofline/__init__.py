"""What memory allows on the machine at hand: loops of loads and stores, and our speeds as a share of theirs."""

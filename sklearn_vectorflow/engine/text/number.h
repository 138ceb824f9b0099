/* Decimal numbers in text, rounded correctly wherever an exact integer does it:
 * up to 19 digits and a small power of ten. The rest is left to the caller. */
#ifndef VF_NUMBER_H
#define VF_NUMBER_H

#include "kernels/platform.h"

enum { VF_NO_NUMBER, VF_NUMBER, VF_LONG_NUMBER };

static const double VF_POWERS[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#if defined(__SIZEOF_INT128__) && !defined(_MSC_VER) /* clang-cl compiles the division, but links none */
/* digits / 10^power, rounded to even; power <= 19. Returns 0 if that takes more bits. */
static int vf_divide(uint64_t digits, int power, double *out) {
    uint64_t divisor = 1;
    for (int k = 0; k < power; k++)
        divisor *= 10;
    const unsigned __int128 wide = (unsigned __int128)digits << 64;
    const unsigned __int128 quotient = wide / divisor;
    const uint64_t high = (uint64_t)(quotient >> 64), low = (uint64_t)quotient;
    int bits = high ? 128 - __builtin_clzll(high) : low ? 64 - __builtin_clzll(low) : 0;
    if (bits < 56)
        return 0;
    const int shift = bits - 53;
    uint64_t mantissa = (uint64_t)(quotient >> shift);
    const unsigned __int128 rest = quotient & (((unsigned __int128)1 << shift) - 1);
    const unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
    const int more = wide != quotient * divisor;
    mantissa += rest > half || (rest == half && (more || (mantissa & 1)));
    *out = ldexp((double)mantissa, shift - 64);
    return 1;
}
#else
static int vf_divide(uint64_t digits, int power, double *out) {
    (void)digits, (void)power, (void)out;
    return 0;
}
#endif

VF_INLINE int vf_is_digit(char c) { return (unsigned char)(c - '0') < 10; }

#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* Appends the digits at p to a number, eight at a time; returns how many there are. */
VF_INLINE int64_t vf_read_digits(const char *p, const char *end, uint64_t *digits) {
    static const uint64_t tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const char *start = p;
    while (end - p >= 8) {
        uint64_t eight;
        memcpy(&eight, p, 8);
        eight ^= 0x3030303030303030u;
        const uint64_t others = ((eight + 0x7676767676767676u) | eight) & 0x8080808080808080u;
        const int n = others ? __builtin_ctzll(others) >> 3 : 8;
        if (n == 0)
            return p - start;
        eight <<= 8 * (8 - n);
        eight = eight * 10 + (eight >> 8);
        eight = ((eight & 0x000000FF000000FFu) * 0x000F424000000064u +
                 ((eight >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
        *digits = *digits * tens[n] + (uint32_t)eight;
        p += n;
        if (n < 8)
            return p - start;
    }
    for (; p < end && vf_is_digit(*p); p++)
        *digits = *digits * 10 + (uint64_t)(*p - '0');
    return p - start;
}
#else
VF_INLINE int64_t vf_read_digits(const char *p, const char *end, uint64_t *digits) {
    const char *start = p;
    for (; p < end && vf_is_digit(*p); p++)
        *digits = *digits * 10 + (uint64_t)(*p - '0');
    return p - start;
}
#endif

/* Reads a number at *at and moves past it; the text ends in a newline. A
 * VF_LONG_NUMBER is well formed but not computed. */
VF_INLINE int vf_read_number(const char **at, const char *end, double *out) {
    const char *p = *at;
    const int negative = *p == '-';
    uint64_t digits = 0;
    p += *p == '-' || *p == '+';
    const char *start = p;
    while (*p == '0')
        p++;
    int64_t n_digits = vf_read_digits(p, end, &digits), power = 0;
    p += n_digits;
    int64_t n_read = p - start;
    if (*p == '.') {
        start = ++p;
        if (n_digits == 0)
            while (*p == '0')
                p++;
        const int64_t n = vf_read_digits(p, end, &digits);
        p += n;
        n_digits += n;
        n_read += p - start;
        power = start - p;
    }
    if (n_read == 0)
        return VF_NO_NUMBER;
    if (*p == 'e' || *p == 'E') {
        const char *exponent = p + 1;
        const int down = *exponent == '-';
        uint64_t size = 0;
        exponent += *exponent == '-' || *exponent == '+';
        const int64_t n = vf_read_digits(exponent, end, &size);
        if (n == 0)
            return VF_NO_NUMBER;
        if (n > 8)
            n_digits = 20;
        power += down ? -(int64_t)size : (int64_t)size;
        p = exponent + n;
    }
    *at = p;
    double value = (double)digits;
    if (n_digits > 19)
        return VF_LONG_NUMBER;
    if (digits <= ((uint64_t)1 << 53) && power >= -22 && power <= 22)
        value = power < 0 ? value / VF_POWERS[-power] : value * VF_POWERS[power];
    else if (digits != 0 && (power > 0 || power < -19 || !vf_divide(digits, (int)-power, &value)))
        return VF_LONG_NUMBER;
    *out = negative ? -value : value;
    return VF_NUMBER;
}

/* Reads an integer that may have leading zeros; returns -1 if it is more than INT64_MAX. */
static int64_t vf_read_long_integer(const char **at, const char *end) {
    uint64_t value = 0;
    while (**at == '0')
        ++*at;
    const int64_t n = vf_read_digits(*at, end, &value); /* 19 digits fit into 64 bits */
    *at += n;
    return n > 19 || value > (uint64_t)INT64_MAX ? -1 : (int64_t)value;
}

/* Reads an integer from 0 to INT64_MAX and moves past it; returns -1 if there is none. */
VF_INLINE int64_t vf_read_integer(const char **at, const char *end) {
    uint64_t value = 0;
    const int64_t n = vf_read_digits(*at, end, &value);
    if (n == 0)
        return -1;
    if (n > 18)
        return vf_read_long_integer(at, end);
    *at += n;
    return (int64_t)value;
}

#endif

// SHA-1 of a message that fits into one block, which is all that the unbalanced tree search needs. With the
// instructions for it where the processor has them, as the Rust side does.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

struct Hash {
    uint32_t words[5];
};

inline void store_big_endian(uint8_t* bytes, uint32_t word) {
    word = __builtin_bswap32(word);
    std::memcpy(bytes, &word, 4);
}

namespace sha1_of_one_block {

constexpr Hash START = {{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};

inline uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

inline Hash portable(const uint8_t block[64]) {
    uint32_t w[80];
    for (int i = 0; i < 16; ++i) {
        std::memcpy(&w[i], block + 4 * i, 4);
        w[i] = __builtin_bswap32(w[i]);
    }
    for (int i = 16; i < 80; ++i) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    Hash now = START;
    auto& [a, b, c, d, e] = now.words;
    for (int i = 0; i < 80; ++i) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    const uint32_t* s = START.words;
    return {{s[0] + a, s[1] + b, s[2] + c, s[3] + d, s[4] + e}};
}

#if defined(__x86_64__)

// Four rounds with the constant of their twenty; `m` are the message words of these rounds.
template <int K>
__attribute__((target("sha,sse4.1"))) inline void rounds(__m128i& abcd, __m128i& e, __m128i m) {
    __m128i before = abcd;
    abcd = _mm_sha1rnds4_epu32(abcd, _mm_sha1nexte_epu32(e, m), K);
    e = before;
}

// The message words of the four rounds that come sixteen after those of `a`.
__attribute__((target("sha,sse4.1"))) inline __m128i next(__m128i a, __m128i b, __m128i c, __m128i d) {
    return _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(a, b), c), d);
}

__attribute__((target("sha,sse4.1"))) inline Hash by_instructions(const uint8_t block[64]) {
    const __m128i order = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    __m128i m[20];
    for (int i = 0; i < 4; ++i) {
        m[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + i), order);
    }
#pragma GCC unroll 16
    for (int i = 4; i < 20; ++i) m[i] = next(m[i - 4], m[i - 3], m[i - 2], m[i - 1]);

    const uint32_t* s = START.words;
    const __m128i abcd_start = _mm_set_epi32(s[0], s[1], s[2], s[3]);
    __m128i abcd = abcd_start;
    // The first four rounds take `e` as it is, all others derive it from what `a` was four rounds before.
    __m128i e = abcd;
    abcd = _mm_sha1rnds4_epu32(abcd, _mm_add_epi32(_mm_set_epi32(s[4], 0, 0, 0), m[0]), 0);
#pragma GCC unroll 4
    for (int i = 1; i < 5; ++i) rounds<0>(abcd, e, m[i]);
#pragma GCC unroll 5
    for (int i = 5; i < 10; ++i) rounds<1>(abcd, e, m[i]);
#pragma GCC unroll 5
    for (int i = 10; i < 15; ++i) rounds<2>(abcd, e, m[i]);
#pragma GCC unroll 5
    for (int i = 15; i < 20; ++i) rounds<3>(abcd, e, m[i]);
    e = _mm_sha1nexte_epu32(e, _mm_set_epi32(s[4], 0, 0, 0));
    abcd = _mm_add_epi32(abcd, abcd_start);

    Hash hash;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(hash.words), _mm_shuffle_epi32(abcd, 0x1b));
    hash.words[4] = _mm_extract_epi32(e, 3);
    return hash;
}

inline bool has_instructions() {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
}

#endif

}  // namespace sha1_of_one_block

// Of at most 55 bytes.
inline Hash sha1(const uint8_t* message, size_t len) {
    uint8_t block[64] = {};
    std::memcpy(block, message, len);
    block[len] = 0x80;
    store_big_endian(block + 60, static_cast<uint32_t>(8 * len));
#if defined(__x86_64__)
    static const bool has_instructions = sha1_of_one_block::has_instructions();
    if (has_instructions) return sha1_of_one_block::by_instructions(block);
#endif
    return sha1_of_one_block::portable(block);
}

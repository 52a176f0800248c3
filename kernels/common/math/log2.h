// log2.h — logarithm to base 2.
//
//   x = 2^e · z                          11/16 ≤ z < 11/8
//   log2 x = e + log2 c + log2(1 + r)    c of the 1/128 of that range in which z lies, r = z/c − 1, −2^−7.8 < r ≤ 2^−7
//
// 1/c has 11 bits, so that z/c − 1 is a sum of two exact products; log2 c is in two parts, of which the first is a multiple of 2^−42 and
// exact when added to e; r/ln 2 is in two parts as well. Around 1, c is 1, so that small logarithms lose nothing.
#ifndef VQS_COMMON_MATH_LOG2_H_
#define VQS_COMMON_MATH_LOG2_H_

#include "math/number.h"

namespace vqs {

constexpr int kLog2Bits = 7;  // of the table's index

// 1/c, log2 c to a multiple of 2^−42, the rest of log2 c.
VQS_MATH_TABLE(kLog2Table, 3 << kLog2Bits) = {
    0x1.7340000000000p+0, -0x1.128efebbe7000p-1, -0x1.9fed0ffc9785dp-44,
    0x1.7140000000000p+0, -0x1.0e91898658000p-1, 0x1.685a421390e1bp-44,
    0x1.6f40000000000p+0, -0x1.0a8e881d5a000p-1, -0x1.d53b50d0bc65fp-46,
    0x1.6d00000000000p+0, -0x1.0604719f25000p-1, 0x1.4dc166e0e0c68p-45,
    0x1.6b00000000000p+0, -0x1.01f5727726800p-1, 0x1.9006e6a042173p-44,
    0x1.6900000000000p+0, -0x1.fbc16b9027000p-2, 0x1.fd7715c999d62p-44,
    0x1.6700000000000p+0, -0x1.f38c567bcc000p-2, -0x1.50343f8df4b43p-44,
    0x1.6540000000000p+0, -0x1.ec544437c6000p-2, -0x1.c8e1a39d98c89p-44,
    0x1.6340000000000p+0, -0x1.e409113eab000p-2, 0x1.df73f4ee3df06p-44,
    0x1.6140000000000p+0, -0x1.dbb1e194b8000p-2, -0x1.7ccfb8dff1a46p-44,
    0x1.5f80000000000p+0, -0x1.d45ba735bb000p-2, 0x1.6c3d8ec0f3731p-44,
    0x1.5d80000000000p+0, -0x1.cbed9f5bb9000p-2, 0x1.e57e89bfdfd51p-44,
    0x1.5bc0000000000p+0, -0x1.c48330ef91000p-2, -0x1.d7eb8cc961594p-44,
    0x1.59c0000000000p+0, -0x1.bbfdd2670d000p-2, -0x1.ad9d6559cc4f1p-44,
    0x1.5800000000000p+0, -0x1.b47ebf7388000p-2, -0x1.50520a377c7ecp-45,
    0x1.5640000000000p+0, -0x1.acf5e2db4f000p-2, 0x1.b6080f709a1ffp-45,
    0x1.5480000000000p+0, -0x1.a56322edd3000p-2, -0x1.cc58a505d117ap-44,
    0x1.52c0000000000p+0, -0x1.9dc66594df000p-2, 0x1.61d31e87ca899p-44,
    0x1.5100000000000p+0, -0x1.961f905274000p-2, -0x1.3719eb3af5b8dp-47,
    0x1.4f40000000000p+0, -0x1.8e6e883ea9000p-2, -0x1.1d78209e2aa8fp-45,
    0x1.4d80000000000p+0, -0x1.86b332056e000p-2, 0x1.3fae191bb5173p-44,
    0x1.4bc0000000000p+0, -0x1.7eed71e445000p-2, 0x1.6d94d696f52bdp-47,
    0x1.4a40000000000p+0, -0x1.783b9292b1000p-2, -0x1.0469226c3fb2fp-44,
    0x1.4880000000000p+0, -0x1.7062305157000p-2, 0x1.7158a37417c3ap-45,
    0x1.46c0000000000p+0, -0x1.687e126241000p-2, 0x1.2e1f671b284acp-44,
    0x1.4540000000000p+0, -0x1.61b1e9ba14000p-2, -0x1.bb242f7aa6d57p-45,
    0x1.43c0000000000p+0, -0x1.5addb5d47b000p-2, -0x1.9de18236cee43p-45,
    0x1.4200000000000p+0, -0x1.52dbdfc4c9000p-2, -0x1.acdf73d83987fp-44,
    0x1.4080000000000p+0, -0x1.4bf5fc36e8000p-2, -0x1.5dcccaf649933p-44,
    0x1.3f00000000000p+0, -0x1.4507cfedd5000p-2, 0x1.e35952fb0019dp-49,
    0x1.3d40000000000p+0, -0x1.3ce75e8a88000p-2, -0x1.017f222fa1412p-46,
    0x1.3bc0000000000p+0, -0x1.35e6fa60a8000p-2, -0x1.d134f7e4aac9bp-46,
    0x1.3a40000000000p+0, -0x1.2ede0d3209000p-2, -0x1.fbfdfaa40a10ap-47,
    0x1.38c0000000000p+0, -0x1.27cc8215dd000p-2, -0x1.2c15bfdcbfdf0p-44,
    0x1.3740000000000p+0, -0x1.20b243d623000p-2, 0x1.3f73900d9d44bp-45,
    0x1.35c0000000000p+0, -0x1.198f3cee25000p-2, -0x1.ecc6e172e87fcp-44,
    0x1.3480000000000p+0, -0x1.1395f1b5b6000p-2, -0x1.a5bd9bcda22fdp-46,
    0x1.3300000000000p+0, -0x1.0c62975543000p-2, 0x1.5c56c13816f9fp-44,
    0x1.3180000000000p+0, -0x1.0526359bab000p-2, -0x1.b361c7dddadb6p-46,
    0x1.3000000000000p+0, -0x1.fbc16b9026000p-3, -0x1.0144751b3314fp-44,
    0x1.2ec0000000000p+0, -0x1.ef94dc90f6000p-3, -0x1.97780edf24091p-46,
    0x1.2d40000000000p+0, -0x1.e0e7f61970000p-3, 0x1.955d8cc95b2ebp-47,
    0x1.2c00000000000p+0, -0x1.d49ee4c326000p-3, 0x1.a40dc2d2a6bf7p-45,
    0x1.2a80000000000p+0, -0x1.c5cf77f860000p-3, -0x1.04cc6600a133ep-44,
    0x1.2940000000000p+0, -0x1.b9695d88ee000p-3, -0x1.4977121a48d8bp-45,
    0x1.27c0000000000p+0, -0x1.aa76c677c8000p-3, -0x1.25806187d3cb2p-44,
    0x1.2680000000000p+0, -0x1.9df31868c2000p-3, 0x1.c5667a12e8f30p-44,
    0x1.2540000000000p+0, -0x1.9161c9dbb6000p-3, 0x1.2f1f80e6d6b9ap-48,
    0x1.2400000000000p+0, -0x1.84c2bd02f0000p-3, -0x1.d97ee9124773bp-46,
    0x1.22c0000000000p+0, -0x1.7815d3ae88000p-3, 0x1.d6dad0de8fee5p-44,
    0x1.2140000000000p+0, -0x1.68cd77cecc000p-3, -0x1.9a69abd526859p-44,
    0x1.2000000000000p+0, -0x1.5c01a39fbe000p-3, 0x1.2f0c0bfe9dbecp-44,
    0x1.1ec0000000000p+0, -0x1.4f278fb3ea000p-3, 0x1.342cf30a428ffp-44,
    0x1.1d80000000000p+0, -0x1.423f1c2c12000p-3, -0x1.d449e80431d92p-44,
    0x1.1c40000000000p+0, -0x1.354828bd94000p-3, -0x1.ac9513d63d2f9p-47,
    0x1.1b00000000000p+0, -0x1.284294b07a000p-3, -0x1.8fe35da2ab291p-45,
    0x1.1a00000000000p+0, -0x1.1dcd197552000p-3, -0x1.6f6bd48a860f0p-44,
    0x1.18c0000000000p+0, -0x1.10acdd3fd2000p-3, -0x1.0db150a4f91bfp-45,
    0x1.1780000000000p+0, -0x1.037da278f2000p-3, -0x1.0e0f9c896007dp-44,
    0x1.1640000000000p+0, -0x1.ec7e8d6ec8000p-4, -0x1.6c109f6961439p-44,
    0x1.1500000000000p+0, -0x1.d1e34e35b8000p-4, -0x1.6d26859c7991ep-47,
    0x1.1400000000000p+0, -0x1.bc84240adc000p-4, 0x1.4459c4d3a591bp-44,
    0x1.12c0000000000p+0, -0x1.a1b13dbb70000p-4, 0x1.f4e210e9c0c54p-45,
    0x1.11c0000000000p+0, -0x1.8c253098e4000p-4, -0x1.83328d20817acp-45,
    0x1.1080000000000p+0, -0x1.7119b876c0000p-4, 0x1.57a036639e53ap-44,
    0x1.0f40000000000p+0, -0x1.55ee6b4c84000p-4, -0x1.d71f5725c7c89p-46,
    0x1.0e40000000000p+0, -0x1.401b0fb604000p-4, -0x1.5a1e1bb57e3c1p-44,
    0x1.0d40000000000p+0, -0x1.2a32fd8ef0000p-4, 0x1.4751c6715a2b3p-44,
    0x1.0c00000000000p+0, -0x1.0eb389fa28000p-4, -0x1.f9ab3cf74babap-44,
    0x1.0b00000000000p+0, -0x1.f138983328000p-5, 0x1.6302f197ca224p-44,
    0x1.09c0000000000p+0, -0x1.b9c2c532b0000p-5, -0x1.522918563a94fp-46,
    0x1.08c0000000000p+0, -0x1.8d345842a0000p-5, -0x1.56ba43d346e60p-44,
    0x1.07c0000000000p+0, -0x1.607ac0fbf8000p-5, -0x1.20b21d8adca3ep-44,
    0x1.06c0000000000p+0, -0x1.3395ab6aa0000p-5, 0x1.e1331851eea20p-47,
    0x1.0580000000000p+0, -0x1.f6734acf80000p-6, -0x1.a5671e1bd4ae8p-44,
    0x1.0480000000000p+0, -0x1.9be2f774a0000p-6, 0x1.4cf6b3e0185a2p-44,
    0x1.0380000000000p+0, -0x1.40f9786680000p-6, -0x1.74a4cb0be9e8ap-44,
    0x1.0280000000000p+0, -0x1.cb6c3abd20000p-7, 0x1.754e95c6a4ad8p-44,
    0x1.0180000000000p+0, -0x1.1430681260000p-7, 0x1.1790209e88471p-46,
    0x1.0000000000000p+0, 0x0.0p+0, 0x0.0p+0,
    0x1.0000000000000p+0, 0x0.0p+0, 0x0.0p+0,
    0x1.fa00000000000p-1, 0x1.16a21e20a0000p-6, 0x1.48a179268271dp-47,
    0x1.f600000000000p-1, 0x1.d23afc4910000p-6, 0x1.cfc4de6d73deap-45,
    0x1.f280000000000p-1, 0x1.3bcdd9b9f0000p-5, 0x1.e66be73b9da04p-50,
    0x1.ee80000000000p-1, 0x1.9b05038d88000p-5, -0x1.fb554647678d1p-44,
    0x1.eb00000000000p-1, 0x1.eef7925088000p-5, 0x1.b4eb09b992dcep-44,
    0x1.e780000000000p-1, 0x1.21c1ef55f0000p-4, 0x1.b08127eec65d2p-46,
    0x1.e380000000000p-1, 0x1.5271a78624000p-4, -0x1.5f097b0fe80a3p-44,
    0x1.e000000000000p-1, 0x1.7d60496cfc000p-4, -0x1.2ce6312ebb81dp-46,
    0x1.dc80000000000p-1, 0x1.a89f5a6dc8000p-4, 0x1.acbebd7e444ecp-44,
    0x1.d900000000000p-1, 0x1.d4300a2524000p-4, 0x1.a82ed66976b91p-45,
    0x1.d600000000000p-1, 0x1.f9c95dc1d0000p-4, 0x1.164e932b2d51cp-44,
    0x1.d280000000000p-1, 0x1.12fa6f5510000p-3, -0x1.da89e835cc3d2p-45,
    0x1.cf00000000000p-1, 0x1.293ac3dc1a000p-3, 0x1.9a1979619fe2fp-45,
    0x1.cc00000000000p-1, 0x1.3c6fb650ce000p-3, -0x1.af5e9bb5386c2p-47,
    0x1.c880000000000p-1, 0x1.5300d796e0000p-3, -0x1.98cc3b5d08e15p-44,
    0x1.c580000000000p-1, 0x1.667c08270c000p-3, -0x1.bebde1ac6e983p-45,
    0x1.c280000000000p-1, 0x1.7a18529636000p-3, -0x1.b6967f02b01d8p-45,
    0x1.bf80000000000p-1, 0x1.8dd6282140000p-3, 0x1.2a424c693063dp-45,
    0x1.bc80000000000p-1, 0x1.a1b5fc4e0c000p-3, -0x1.73647bf25fa5fp-44,
    0x1.b980000000000p-1, 0x1.b5b844fb4c000p-3, -0x1.821d36e0b7548p-44,
    0x1.b680000000000p-1, 0x1.c9dd7a70ee000p-3, -0x1.d400fd651da9ap-44,
    0x1.b380000000000p-1, 0x1.de26177108000p-3, 0x1.a06e2b9b128bfp-44,
    0x1.b080000000000p-1, 0x1.f29299496a000p-3, 0x1.11159ca9c9783p-44,
    0x1.ad80000000000p-1, 0x1.0391bff2dc000p-2, -0x1.866405210e49ep-45,
    0x1.ab00000000000p-1, 0x1.0c318aedff000p-2, 0x1.e03b336c24b74p-45,
    0x1.a800000000000p-1, 0x1.169c05363f000p-2, 0x1.5872350f805d6p-46,
    0x1.a580000000000p-1, 0x1.1f588973c8000p-2, 0x1.d1c61f4accdd7p-44,
    0x1.a300000000000p-1, 0x1.28225bb5e6000p-2, 0x1.28fa3aac2fde9p-44,
    0x1.a000000000000p-1, 0x1.32bfee370f000p-2, -0x1.979a5db68721dp-46,
    0x1.9d80000000000p-1, 0x1.3ba7963fc2000p-2, -0x1.c4413fd83dec1p-48,
    0x1.9b00000000000p-1, 0x1.449d115ef8000p-2, -0x1.3c49c247ab6afp-45,
    0x1.9880000000000p-1, 0x1.4da08ac465000p-2, -0x1.a96d7a36f1545p-44,
    0x1.9600000000000p-1, 0x1.56b22e6b58000p-2, -0x1.c6d8d86531d56p-44,
    0x1.9380000000000p-1, 0x1.5fd2291fc3000p-2, 0x1.e77ad7a4b71c0p-45,
    0x1.9100000000000p-1, 0x1.6900a8836d000p-2, 0x1.aa0e9e6bca777p-47,
    0x1.8e80000000000p-1, 0x1.723ddb1347000p-2, -0x1.26baaf0b591f8p-44,
    0x1.8c00000000000p-1, 0x1.7b89f02cf3000p-2, -0x1.54b383b0e8a55p-44,
    0x1.8980000000000p-1, 0x1.84e5181475000p-2, 0x1.123e24ebf7a85p-44,
    0x1.8780000000000p-1, 0x1.8c6c335d8c000p-2, -0x1.a69393bab4fd0p-44,
    0x1.8500000000000p-1, 0x1.95e2f9b51f000p-2, 0x1.38bc99b3611cep-48,
    0x1.8280000000000p-1, 0x1.9f695efbbd000p-2, 0x1.dd3d30f5deaa7p-47,
    0x1.8080000000000p-1, 0x1.a713787ad9000p-2, 0x1.e92e07396497fp-44,
    0x1.7e00000000000p-1, 0x1.b0b67f4f47000p-2, -0x1.fc02bc277071dp-44,
    0x1.7c00000000000p-1, 0x1.b877c57b1b000p-2, 0x1.bfbf899cf2b3cp-48,
    0x1.7980000000000p-1, 0x1.c2381c08bb000p-2, -0x1.62c45c4bc31c9p-47,
    0x1.7780000000000p-1, 0x1.ca111cb2aa000p-2, 0x1.7150fe371d52bp-44,
    0x1.7580000000000p-1, 0x1.d1f4d7fec0000p-2, -0x1.e6009faee4be8p-44,};

// Log2 is log2(x) for normal x > 0. It is off by at most 0.51 units in the last place.
template <class R>
VQS_HD R Log2(R x) {
  // (log2(1 + r) − r/ln 2)/r²: relative to log2(1 + r), the error is below 2^−66.
  constexpr double kSeries[] = {-0x1.71547652b82fep-1, 0x1.ec709dc3a03f7p-2,  -0x1.71547652b5aefp-2, 0x1.2776c50ff1cefp-2,
                                -0x1.ec70a6484e4cfp-3, 0x1.a617f663f03a0p-3, -0x1.6d7775cf581ccp-3};
  constexpr double kInvLn2High = 0x1.715476p0, kInvLn2Low = 0x1.4ae0bf85ddf44p-26;  // 1/ln 2; the first has 25 bits
  constexpr uint64_t kFirst = 0x3fe6000000000000;                                   // 11/16
  constexpr uint64_t kExponents = 1024;                                             // keep e positive while it is an integer
  constexpr uint64_t kUpper = ~uint64_t{0} << 27;                                   // leaves a number 26 bits

  const auto word = Word(x);
  const auto place = word - kFirst + (kExponents << 52);
  const auto exponent = place >> 52;
  const auto entry = (place >> (52 - kLog2Bits) & ((1 << kLog2Bits) - 1)) * 3;
  const R e = FromWord(exponent | Word(0x1p52)) - R(0x1p52 + kExponents);
  const auto z = word - ((exponent - kExponents) << 52);
  const R inverse = Entry(kLog2Table, entry);

  const R z_high = FromWord(z & kUpper), z_low = FromWord(z) - z_high;
  const R p = z_high * inverse - R(1.0), q = z_low * inverse;  // exact
  const R r = p + q, r_rest = (p - r) + q;
  const R r_high = FromWord(Word(r) & kUpper), r_low = r - r_high;

  const R whole = e + Entry(kLog2Table, entry + 1);
  const R first = r_high * R(kInvLn2High);  // exact
  const R high = whole + first;
  const R low = ((whole - high) + first) + ((Entry(kLog2Table, entry + 2) + (r_low + r_rest) * R(kInvLn2High)) + r * R(kInvLn2Low));
  return high + (low + r * r * Series(kSeries, r));
}

}  // namespace vqs

#endif  // VQS_COMMON_MATH_LOG2_H_

// kernels.cu — kernels that are right, and kernels each of which is wrong in one way, for the tests of the software libcuda.
//
// in   n words, written by the host
// out  n words, not written before but where a kernel adds to them
#include "device.h"

namespace {

constexpr int kWords = 64;

}  // namespace

#define VQS_TRIAL(name) extern "C" __global__ void __launch_bounds__(256) name(const uint32_t* in, uint32_t* out, int n)

// --- right

VQS_TRIAL(vqs_right_copy) {
  const int i = BlockX() * 64 + ThreadX();
  if (i < n) Store(out + i, Read(in + i));
}

VQS_TRIAL(vqs_right_reverse) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t] = Read(in + t);
  SyncBlock();
  Store(out + t, static_cast<uint32_t>(words[n - 1 - t]));
}

// Lanes take the word of their neighbour, twice, through the same place.
VQS_TRIAL(vqs_right_warp) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX(), neighbour = t ^ 1;
  uint32_t v = Read(in + t);
  for (int turn = 0; turn < 3; ++turn) {
    words[t] = v;
    SyncWarp();
    v = words[neighbour];
    SyncWarp();
  }
  if (t < n) Store(out + t, v);
}

VQS_TRIAL(vqs_right_sum) {
  VQS_SHARED(uint32_t, sum, 1);
  const int t = ThreadX();
  if (t == 0) sum[0] = 0;
  SyncBlock();
  AtomicAdd(&sum[0], Read(in + t));
  SyncBlock();
  if (t == 0) AtomicAdd(out, static_cast<uint32_t>(sum[0]));
  const uint32_t lanes = WarpSum(1u);
  if (t == 1 && n > 1) AtomicAdd(out + 1, lanes);
}

VQS_TABLE(uint32_t, kTrialTable, 4) = {10, 20, 30, 40};

VQS_TRIAL(vqs_right_table) {
  const int t = ThreadX();
  if (t < n) Store(out + t, Read(&kTrialTable[t % 4]) + kTrialTable[3 - t % 4] + Read(in));
}

// Writes a word and reads it again, which Global may.
VQS_TRIAL(vqs_right_again) {
  const int t = ThreadX();
  if (t >= n) return;
  Store(out + t, Read(in + t));
  Store(out + t, Global(out + t) + 1);
}

// What instructions give, by their description.
VQS_TRIAL(vqs_right_instructions) {
  const uint32_t one = Read(in);  // 1, but the compiler does not know
  const uint32_t next = ShuffleDown(static_cast<uint32_t>(ThreadX()), 1), other = ShuffleXor(static_cast<uint32_t>(ThreadX()), 5);
  if (ThreadX() == 31) {
    Store(out + 0, Bytes(0x83020100u * one, 0x07060504u, 0x7b40u));
    Store(out + 1, Dot4(0x01020304u * one, 0xff000002u, 10));
    Store(out + 2, static_cast<uint32_t>(Dot4Signed(0x01020304u * one, static_cast<int32_t>(0xff000002u), 10)));
    Store(out + 3, Dot2Low(0x00020003u * one, 0xff0205u, 7));
    Store(out + 4, Dot2High(0x00020003u * one, 0x0a0b0000u, 7));
    Store(out + 5, static_cast<uint32_t>(LeadingZeros(one) + LeadingZeros(one - 1)));
    Store(out + 6, next);  // past the last lane: its own
    Store(out + n - 57, other);
  }
}

// Words of other widths: four and two at once, halves and bytes.
VQS_TRIAL(vqs_right_widths) {
  const int t = ThreadX();
  const VqsWord4 four = Read(reinterpret_cast<const VqsWord4*>(in) + t % 16);
  if (t >= 16 || t >= n) return;
  Store(reinterpret_cast<VqsWord2*>(out) + 2 * t, VqsWord2{four.w, four.z});
  uint16_t* const half = reinterpret_cast<uint16_t*>(out + 4 * t + 2);
  Store(half, static_cast<uint16_t>(four.y));
  Store(half + 1, static_cast<uint16_t>(Read(reinterpret_cast<const uint8_t*>(in) + 4)));
  Store(reinterpret_cast<uint64_t*>(out) + 2 * t + 1, Global(reinterpret_cast<const uint32_t*>(half)) + (uint64_t{four.x} << 32));
}

// --- global memory

VQS_TRIAL(vqs_wrong_read_beyond) {
  if (ThreadX() == 5) Store(out, Read(in + n));
}

VQS_TRIAL(vqs_wrong_write_before) {
  if (ThreadX() == 5) Store(out - 1, static_cast<uint32_t>(n) + Read(in));
}

VQS_TRIAL(vqs_wrong_misaligned) {
  const uint64_t odd = reinterpret_cast<uint64_t>(in) + 2;
  Store(out + n - n, Read(reinterpret_cast<const uint32_t*>(odd)));
}

VQS_TRIAL(vqs_wrong_null) {
  Store(out + n - n, Read(reinterpret_cast<const uint32_t*>(reinterpret_cast<uint64_t>(in) & 0xff)));
}

VQS_TRIAL(vqs_wrong_undefined) {
  Store(out, Global(out + n - 1) + Read(in));
}

VQS_TRIAL(vqs_wrong_read_output) {
  const int t = ThreadX();
  Store(out + t % n, Read(in));
  Store(out + t % n, Read(out + t % n));
}

VQS_TRIAL(vqs_wrong_write_input) {
  const int t = ThreadX();
  Store(out + t % n, Read(in + t % n));
  Store(const_cast<uint32_t*>(in) + t % n, 0u);
}

VQS_TRIAL(vqs_wrong_other_block) {
  const int t = ThreadX();
  Store(out + BlockX(), Read(in + t % n));
  if (BlockX() == GridX() - 1 || GridX() == 1) Store(out + BlockX(), Global(out) + Global(out + GridX() - 1));
}

VQS_TRIAL(vqs_wrong_both_blocks) { Store(out + ThreadX() % n, Read(in)); }

VQS_TRIAL(vqs_wrong_sum_and_store) {
  if (BlockX() == 0) {
    AtomicAdd(out, Read(in));
  } else {
    Store(out + n - n, 1u);
  }
}

VQS_TRIAL(vqs_wrong_sum_loaded) {
  AtomicAdd(out, Read(in));
  if (ThreadX() == 0) Store(out + 1 + BlockX(), Global(out) + n);
}

// --- shared memory

VQS_TRIAL(vqs_wrong_shared_undefined) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  if (t != 7) words[t] = Read(in + t % n);
  SyncBlock();
  Store(out + t, static_cast<uint32_t>(words[t]));
}

VQS_TRIAL(vqs_wrong_shared_beyond) {
  VQS_SHARED(uint32_t, words, kWords);
  words[ThreadX() + n - kWords + 1] = Read(in);
  Store(out, 0u);
}

VQS_TRIAL(vqs_wrong_shared_before) {
  VQS_SHARED(uint32_t, words, kWords);
  words[ThreadX() - 1] = Read(in);
  Store(out + n - n, 0u);
}

VQS_TRIAL(vqs_wrong_no_barrier) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t] = Read(in + t);
  if (t == n - 1) Store(out, static_cast<uint32_t>(words[0]));
  if (t == 0) Store(out, static_cast<uint32_t>(words[n - 1]));
}

VQS_TRIAL(vqs_wrong_no_barrier_before_write) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t] = Read(in + t);
  SyncBlock();
  Store(out + t, static_cast<uint32_t>(words[(t + 32) % n]));
  words[t] = 0;
}

VQS_TRIAL(vqs_wrong_both_write) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t / 2] = Read(in + t);
  SyncBlock();
  Store(out + t % n, static_cast<uint32_t>(words[t / 2]));
}

// Lanes of a warp need a barrier too: SyncWarp.
VQS_TRIAL(vqs_wrong_warp_without_barrier) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t] = Read(in + t);
  Store(out + t % n, static_cast<uint32_t>(words[t ^ 1]));
}

// … and a shuffle is none.
VQS_TRIAL(vqs_wrong_shuffle_as_barrier) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t] = Read(in + t);
  const uint32_t sum = WarpSum(1u);
  Store(out + t % n, words[t ^ 1] + sum);
}

// … and SyncWarp is none between warps.
VQS_TRIAL(vqs_wrong_warp_barrier_between_warps) {
  VQS_SHARED(uint32_t, words, kWords);
  const int t = ThreadX();
  words[t] = Read(in + t);
  SyncWarp();
  Store(out + t % n, static_cast<uint32_t>(words[t ^ 32]));
}

VQS_TRIAL(vqs_wrong_sum_without_barrier) {
  VQS_SHARED(uint32_t, sum, 1);
  const int t = ThreadX();
  if (t == 0) sum[0] = 0;
  SyncBlock();
  AtomicAdd(&sum[0], Read(in + t));
  Store(out + t % n, static_cast<uint32_t>(sum[0]));
}

// --- barriers

VQS_TRIAL(vqs_wrong_exit_before_barrier) {
  const int t = ThreadX();
  if (t == 3) return;
  SyncBlock();
  Store(out + t % n, Read(in));
}

VQS_TRIAL(vqs_wrong_two_barriers) {
  const int t = ThreadX();
  if (t < n / 2) {
    SyncBlock();
  } else {
    SyncBlock();
  }
  Store(out + t % n, Read(in));
}

VQS_TRIAL(vqs_wrong_lane_missing) {
  const int t = ThreadX();
  uint32_t sum = Read(in);
  if (t % 32 != 9) sum = WarpSum(sum);
  SyncBlock();
  Store(out + t % n, sum);
}

// --- arithmetic that has no defined result

VQS_TRIAL(vqs_wrong_overflow) {
  const int32_t large = 0x7fffffff - static_cast<int32_t>(Read(in));
  Store(out + n - n, static_cast<uint32_t>(large + n));
}

VQS_TRIAL(vqs_wrong_shift) { Store(out, Read(in) << (n - 32)); }

VQS_TRIAL(vqs_wrong_conversion) { Store(out, static_cast<uint32_t>(static_cast<int32_t>(1e9 * n * static_cast<double>(Read(in))))); }

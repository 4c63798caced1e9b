// SPDX-License-Identifier: Apache-2.0
// The first process of a pid namespace that containers share (shareProcessNamespace): does nothing but reap. Built
// without a C library; CMakeLists.txt puts its bytes into the program.
#if defined(__x86_64__)
enum { kRtSigprocmask = 14, kWait4 = 61, kRtSigtimedwait = 128 };
static long call(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum { kRtSigprocmask = 135, kWait4 = 260, kRtSigtimedwait = 137 };
static long call(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
#else
#error "this processor's system calls are not known here"
#endif

enum { kBlock = 0, kChild = 17, kNoHang = 1 };

void _start(void) {
  // Blocked before anything can end, so that the signal waits for us and not the other way round.
  const unsigned long set = 1UL << (kChild - 1);
  call(kRtSigprocmask, kBlock, (long)&set, 0, sizeof set);
  for (;;) {
    while (call(kWait4, -1, 0, kNoHang, 0) > 0) {
    }
    call(kRtSigtimedwait, (long)&set, 0, 0, sizeof set);
  }
}

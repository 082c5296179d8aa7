// # Atomics
//
// Read a number, change it, write it back, with no other thread in between; the value is the number as it was. One
// thread runs at a time here, so nothing special is needed, except that the watcher must not take them for plain
// accesses: two atomics on one address are no race.
#pragma once

namespace cr::backend::simt {

int atomicAdd(int* p, int value);
unsigned atomicAdd(unsigned* p, unsigned value);
unsigned long long atomicAdd(unsigned long long* p, unsigned long long value);
float atomicAdd(float* p, float value);
double atomicAdd(double* p, double value);

int atomicSub(int* p, int value);
unsigned atomicSub(unsigned* p, unsigned value);

int atomicMin(int* p, int value);
unsigned atomicMin(unsigned* p, unsigned value);
long long atomicMin(long long* p, long long value);
unsigned long long atomicMin(unsigned long long* p, unsigned long long value);
int atomicMax(int* p, int value);
unsigned atomicMax(unsigned* p, unsigned value);
long long atomicMax(long long* p, long long value);
unsigned long long atomicMax(unsigned long long* p, unsigned long long value);

int atomicAnd(int* p, int value);
unsigned atomicAnd(unsigned* p, unsigned value);
unsigned long long atomicAnd(unsigned long long* p, unsigned long long value);
int atomicOr(int* p, int value);
unsigned atomicOr(unsigned* p, unsigned value);
unsigned long long atomicOr(unsigned long long* p, unsigned long long value);
int atomicXor(int* p, int value);
unsigned atomicXor(unsigned* p, unsigned value);
unsigned long long atomicXor(unsigned long long* p, unsigned long long value);

// Counts round and round: 0, 1 … `last`, 0 …, and downwards.
unsigned atomicInc(unsigned* p, unsigned last);
unsigned atomicDec(unsigned* p, unsigned last);

int atomicExch(int* p, int value);
unsigned atomicExch(unsigned* p, unsigned value);
unsigned long long atomicExch(unsigned long long* p, unsigned long long value);
float atomicExch(float* p, float value);

// Compare and swap: writes `value` if the number is `expected`.
int atomicCAS(int* p, int expected, int value);
unsigned atomicCAS(unsigned* p, unsigned expected, unsigned value);
unsigned long long atomicCAS(unsigned long long* p, unsigned long long expected, unsigned long long value);

}  // namespace cr::backend::simt

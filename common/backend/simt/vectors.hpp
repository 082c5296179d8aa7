// # Short vectors
//
// `float4` is four floats that memory moves at once: 16 bytes, aligned to 16. What matters about it is the *one*
// access, so copying goes through the compiler's own vector type: left to itself, a compiler may copy member by member,
// which is the same to C++ but four requests to whoever counts them.
#pragma once

#include <cstdint>

namespace cr::backend::simt {

// Tells the watcher of an address that is no multiple of the bytes that are read or written there at once.
void misaligned_access(const void* p, unsigned bytes, bool writes);

// Loads and stores `Bytes` bytes in one access. Of 16 bytes g++ tells the watcher only what any struct asks for, a multiple
// of 8.
template <int Bytes> struct OneAccess {
  typedef char Vector __attribute__((vector_size(Bytes), may_alias));
  static void copy(void* to, const void* from) {
#if CHAINRULE_SIMT_CHECKS && !defined(__clang__)
    if (Bytes == 16 && reinterpret_cast<uintptr_t>(from) % Bytes != 0) misaligned_access(from, Bytes, false);
    if (Bytes == 16 && reinterpret_cast<uintptr_t>(to) % Bytes != 0) misaligned_access(to, Bytes, true);
#endif
    *static_cast<Vector*>(to) = *static_cast<const Vector*>(from);
  }
};

template <class T> struct alignas(2 * sizeof(T)) Vector2 {
  T x, y;
  Vector2() = default;
  Vector2(T x, T y) : x(x), y(y) {}
  Vector2(const Vector2& v) { OneAccess<sizeof(Vector2)>::copy(this, &v); }
  Vector2& operator=(const Vector2& v) {
    OneAccess<sizeof(Vector2)>::copy(this, &v);
    return *this;
  }
};

// No access moves twelve bytes: these are three numbers.
template <class T> struct Vector3 { T x, y, z; };

template <class T> struct alignas(4 * sizeof(T)) Vector4 {
  T x, y, z, w;
  Vector4() = default;
  Vector4(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}
  Vector4(const Vector4& v) { OneAccess<sizeof(Vector4)>::copy(this, &v); }
  Vector4& operator=(const Vector4& v) {
    OneAccess<sizeof(Vector4)>::copy(this, &v);
    return *this;
  }
};

using float2 = Vector2<float>;
using float3 = Vector3<float>;
using float4 = Vector4<float>;
using double2 = Vector2<double>;
using int2 = Vector2<int>;
using int3 = Vector3<int>;
using int4 = Vector4<int>;
using uint2 = Vector2<unsigned>;
using uint3 = Vector3<unsigned>;
using uint4 = Vector4<unsigned>;
using uchar4 = Vector4<unsigned char>;
using longlong2 = Vector2<long long>;

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline longlong2 make_longlong2(long long x, long long y) { return {x, y}; }

}  // namespace cr::backend::simt

// A **convolution** slides a small window of weights over an image. For output channel $o$
// at place $(y, x)$
//
// $$\mathrm{out}_{o,y,x} = \sum_{c} \sum_{r=0}^{2} \sum_{s=0}^{2} w_{o,c,r,s}\; \mathrm{in}_{c,\,y+r-1,\,x+s-1},$$
//
// and what lies outside the image counts as zero. Written as it stands:
#pragma once

#include <cstdint>

#include "backend/cpu/gemm.hpp"
#include "ops/create.hpp"
#include "tensor/tensor.hpp"

// A batch of images (n, c, size, size), weights (o, c, 3, 3).
struct Images {
  int64_t n, c, size, o;
};

inline cr::Tensor convolve_with_loops(const cr::Tensor& images,
                                      const cr::Tensor& weight, const Images& d) {
  cr::Tensor result = cr::zeros({d.n, d.o, d.size, d.size});
  const float *in = images.data<float>(), *w = weight.data<float>();
  float* out = result.mutable_data<float>();
  for (int64_t image = 0; image < d.n; ++image)
    for (int64_t o = 0; o < d.o; ++o)
      for (int64_t y = 0; y < d.size; ++y)
        for (int64_t x = 0; x < d.size; ++x) {
          float sum = 0;
          for (int64_t c = 0; c < d.c; ++c)
            for (int64_t r = 0; r < 3; ++r)
              for (int64_t s = 0; s < 3; ++s) {
                const int64_t row = y + r - 1, column = x + s - 1;
                if (row < 0 || row >= d.size || column < 0 || column >= d.size)
                  continue;
                sum += w[((o * d.c + c) * 3 + r) * 3 + s] *
                       in[((image * d.c + c) * d.size + row) * d.size + column];
              }
          out[((image * d.o + o) * d.size + y) * d.size + x] = sum;
        }
  return result;
}

// The triple sum over $(c, r, s)$ is a sum over one long index, and so the whole is a
// matrix product: the weights, $o$ rows of $9c$ numbers, times a matrix that has for each
// place a column with the $9c$ numbers under its window. Building that matrix is called
// **im2col**. It holds every pixel nine times.
inline cr::Tensor im2col(const cr::Tensor& images, int64_t image, const Images& d) {
  cr::Tensor columns = cr::zeros({d.c * 9, d.size * d.size});
  const float* in = images.data<float>() + image * d.c * d.size * d.size;
  float* out = columns.mutable_data<float>();
  for (int64_t c = 0; c < d.c; ++c)
    for (int64_t r = 0; r < 3; ++r)
      for (int64_t s = 0; s < 3; ++s, out += d.size * d.size)
        for (int64_t y = 0; y < d.size; ++y) {
          const int64_t row = y + r - 1;
          if (row < 0 || row >= d.size) continue;
          const int64_t first = s == 0, last = d.size - (s == 2);
          for (int64_t x = first; x < last; ++x)
            out[y * d.size + x] = in[(c * d.size + row) * d.size + x + s - 1];
        }
  return columns;
}

inline cr::Tensor convolve_with_im2col(const cr::Tensor& images,
                                       const cr::Tensor& weight, const Images& d) {
  const int64_t places = d.size * d.size;
  cr::Tensor result = cr::empty({d.n, d.o, d.size, d.size});
  for (int64_t image = 0; image < d.n; ++image) {
    const cr::Tensor columns = im2col(images, image, d);  // (9 c, places)
    cr::backend::cpu::gemm(
        {.m = d.o,
         .n = places,
         .k = 9 * d.c,
         .a = weight.data<float>(),
         .a_rs = 9 * d.c,
         .a_cs = 1,
         .b = columns.data<float>(),
         .b_rs = places,
         .b_cs = 1,
         .c = result.mutable_data<float>() + image * d.o * places,
         .c_rs = places});
  }
  return result;
}

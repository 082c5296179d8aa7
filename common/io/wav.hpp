// # WAV
//
// Sound without loss: a RIFF file of chunks, in one of them the sampling rate, the channels and the type of the
// samples, in another the samples, frame by frame (Microsoft's and IBM's Multimedia Programming Interface 1.0). A
// **frame** is one sample of every channel, all for the same instant. libsndfile decodes them.
#pragma once

#include <string>

#include "io/bytes.hpp"
#include "tensor/tensor.hpp"

namespace cr::io {

struct Wav {
  Tensor samples;    // float32, (frames,) for one channel, otherwise (frames, channels)
  int64_t rate = 0;  // frames per second
};

// Reads a file with samples of 8, 16, 24 or 32 bits, floating ones, μ-law or A-law. Whole numbers become fractions of
// full scale, in [-1, 1): 16 bits are divided by 32768. Floating samples stay as they are, and may exceed 1. A byte
// becomes four. Throws IoError, one line, for a file that is missing, damaged, longer or shorter than it says, or
// compressed otherwise; for a sample that is not finite; and when this build has no libsndfile.
Wav read_wav(const std::string& path);

// The same from memory; `name` stands for the path in messages.
Wav parse_wav(Bytes file, const std::string& name = "WAV");

enum class WavType { pcm16, float32 };

// Writes samples of shape (frames,) or (frames, channels), atomically; equal samples give equal bytes. As pcm16 a
// sample is multiplied by 32768, rounded, and cut off at the ends of 16 bits. Throws ShapeError for another shape, and
// IoError for samples that are not finite, a rate beyond 1 … 2³¹ - 1, more than 1024 channels or 2 GB of samples; if
// the file cannot be written; or when this build has no libsndfile.
void write_wav(const std::string& path, const Tensor& samples, int64_t rate, WavType type = WavType::pcm16);

// The bytes of such a file; `name` stands for its path in messages.
std::string encode_wav(const Tensor& samples, int64_t rate, WavType type = WavType::pcm16,
                       const std::string& name = "WAV");

}  // namespace cr::io

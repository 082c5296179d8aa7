// # TensorBoard's event files
//
// What TensorBoard draws it reads from *event files*: records one behind the other, each a length, the length's
// checksum, one **event** and its checksum. An event is a time, a step and values by tag, written in Google's protocol
// buffers: a few bytes for the field's number and kind, then its value. So a training loop can show its curves without
// any of TensorBoard's code:
//
//     io::EventWriter writer("out/05/events");
//     writer.add_scalar("loss", loss, step);
//
//     tensorboard --logdir out
//
// Names are those of PyTorch's `SummaryWriter`. The formats are described in TensorFlow's record_writer.h and in its
// event.proto, summary.proto and histogram.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/bytes.hpp"
#include "tensor/tensor.hpp"

namespace cr::io {

// How many values lie between one limit and the next: counts[i] of them from limits[i - 1] on and below limits[i], the
// last of which is not below but at the largest value.
struct Histogram {
  double min = 0, max = 0, number = 0, sum = 0, sum_squares = 0;
  std::vector<double> limits, counts;
};

class EventWriter {
 public:
  // Makes the folder where it is missing, and in it a file of its own: files written there before stay as they are, and
  // come before this one in the order of their names, which is the order in which TensorBoard reads them. A run that
  // goes on from a checkpoint says with which step it goes on (PyTorch's `purge_step`): what was written of that step
  // and later ones before is then not drawn. Throws IoError if the folder or file cannot be made.
  explicit EventWriter(const std::string& folder, std::optional<int64_t> resume_step = {});
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Each call hands one whole record to the system, so a program that is killed loses nothing. `time` is in seconds
  // since 1970; without it, now. All throw IoError if the disk is full or fails.
  void add_scalar(const std::string& tag, double value, int64_t step, std::optional<double> time = {});

  // Counts the values of x, of any shape, in `bins` bins of equal width between the smallest and the largest. Throws
  // ShapeError if there are none, and IoError if one is not finite or beyond 10¹⁵⁰.
  void add_histogram(const std::string& tag, const Tensor& x, int64_t step, int64_t bins = 64,
                     std::optional<double> time = {});

  // A picture of shape (height, width) or (height, width, channels) with values from 0 to 1, as `write_png` takes it
  // (PyTorch's dataformats "HW" and "HWC"; its default "CHW" has the channels first). Throws ShapeError for another
  // shape, and IoError for NaN or when this build has no libpng.
  void add_image(const std::string& tag, const Tensor& x, int64_t step, std::optional<double> time = {});

  // Waits until what was written is on the disk, and would survive a lost power line.
  void flush();

  const std::string& path() const { return path_; }

 private:
  void write(const std::string& event);

  std::string path_;
  int descriptor_ = -1;
};

// One value of an event file.
struct Event {
  enum class Kind { scalar, histogram, image, restart };
  Kind kind = Kind::scalar;
  double time = 0;
  int64_t step = 0;
  std::string tag;
  double scalar = 0;
  Histogram histogram;
  std::string png;  // an image's bytes
};

// All scalars, histograms, images and restarts (the `resume_step` of a writer) of a file, in their order; values of
// other kinds are left out. Throws IoError, one line, for a file that is missing, damaged, or ends within a record, as
// that of a machine that lost power may. With `cut_end` such an unfinished last record is left out.
std::vector<Event> read_events(const std::string& path, bool cut_end = false);

// The same from memory; `name` stands for the path in messages.
std::vector<Event> parse_events(Bytes file, const std::string& name = "events", bool cut_end = false);

// The checksum of the format: CRC-32C, rotated and shifted so that data that contain checksums have others.
uint32_t masked_crc32c(Bytes bytes);

}  // namespace cr::io

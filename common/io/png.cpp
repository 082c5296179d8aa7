#include "io/png.hpp"

#include <array>
#include <cmath>
#include <csetjmp>
#include <type_traits>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/gzip.hpp"

#if CHAINRULE_PNG
#include <png.h>
#endif

namespace cr::io {

#if CHAINRULE_PNG

namespace {

// What libpng's callbacks share with us. At an error libpng jumps (`longjmp`) over every function between it and
// `guarded`, without calling destructors: so what `guarded` runs has nothing to destroy.
struct Png {
  Bytes file;           // to read from
  size_t used = 0;      // of it
  std::string written;  // to write to
  char message[100] = "unknown error";
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool writing = false;

  ~Png() {
    if (writing) png_destroy_write_struct(&png, &info);
    else png_destroy_read_struct(&png, &info, nullptr);
  }
};

void on_error(png_structp png, png_const_charp message) {
  auto& self = *static_cast<Png*>(png_get_error_ptr(png));
  std::strncpy(self.message, message, sizeof self.message - 1);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, size_t bytes) {
  auto& self = *static_cast<Png*>(png_get_io_ptr(png));
  if (bytes > self.file.size() - self.used) png_error(png, "it ends early");
  std::memcpy(to, self.file.data() + self.used, bytes);
  self.used += bytes;
}
void on_write(png_structp png, png_bytep from, size_t bytes) {
  bool full = false;
  try {
    static_cast<Png*>(png_get_io_ptr(png))->written.append(reinterpret_cast<const char*>(from), bytes);
  } catch (const std::bad_alloc&) {
    full = true;  // an exception may not pass through libpng, nor a jump begin in here
  }
  if (full) png_error(png, "no memory");
}
void on_flush(png_structp) {}

// Calls `f`; false if libpng jumped out of it. Not inlined: what it changes must be in memory after a jump.
template <class F> [[gnu::noinline]] bool guarded(Png& self, F f) {
  static_assert(std::is_trivially_destructible_v<F>);
  if (setjmp(png_jmpbuf(self.png))) return false;
  f(self.png, self.info);
  return true;
}

// Pictures that take no more memory than this are read however well they are packed: a white page is.
constexpr uint64_t kAlways = 64 << 20;

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw IoError(file + ": not a sound PNG: " + what);
}

// A decoded picture: rows of samples of one or two bytes, the latter with the most significant first. Where there is a
// palette, a pixel has one sample: its colour's number.
struct Picture {
  int64_t height = 0, width = 0;
  int channels = 0, bytes_per_sample = 1;
  std::vector<std::array<double, 4>> palette;
  std::vector<unsigned char> samples;
};

Picture decode(Bytes file, const PngOptions& options, const std::string& name) {
  if (file.size() < 8 || png_sig_cmp(reinterpret_cast<png_const_bytep>(file.data()), 0, 8) != 0)
    damaged(name, "it does not begin as one");
  Png self;
  self.file = file;
  self.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &self, on_error, on_warning);
  if (self.png) self.info = png_create_info_struct(self.png);
  if (!self.info) throw OutOfMemory("no memory to read " + name);

  // Chunks of text, profiles and the like are not kept, and none may ask for more memory than the file has.
  png_uint_32 width = 0, height = 0;
  int bits = 0, type = 0;
  bool ok = guarded(self, [&](png_structp png, png_infop info) {
    png_set_read_fn(png, &self, on_read);
    png_set_user_limits(png, 1 << 24, 1 << 24);
    png_set_chunk_malloc_max(png, self.file.size());
    png_set_chunk_cache_max(png, 128);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
    png_read_info(png, info);
    png_get_IHDR(png, info, &width, &height, &bits, &type, nullptr, nullptr, nullptr);
  });
  if (!ok) damaged(name, self.message);

  // Before any memory is asked for: the rows, inflated, cannot have more than 1032 times the file's bytes.
  Picture picture;
  picture.height = height, picture.width = width;
  const int64_t pixels = picture.height * picture.width;  // both below 2^24
  const int samples = type == PNG_COLOR_TYPE_RGB    ? 3
                      : type == PNG_COLOR_TYPE_RGBA ? 4
                      : type == PNG_COLOR_TYPE_GA   ? 2
                                                    : 1;
  const std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (pixels > options.max_pixels)
    throw IoError(name + ": " + size + ", at most " + std::to_string(options.max_pixels) + " were expected");
  if (static_cast<uint64_t>(pixels) * static_cast<uint64_t>(samples * bits) / 8 > inflated_at_most(file.size()))
    damaged(name, "it claims " + size + ", more than its bytes can hold");

  // A pixel of less than 8 bits gets 8, a transparent colour becomes alpha. libpng would take a number beyond the
  // palette for black, so its colours are looked up later.
  png_bytep rows = nullptr;
  size_t row_bytes = 0;
  int passes = 1;
  ok = guarded(self, [&](png_structp png, png_infop info) {
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_packing(png);
    else png_set_expand(png);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    row_bytes = png_get_rowbytes(png, info);
  });
  if (!ok) damaged(name, self.message);
  picture.channels = png_get_channels(self.png, self.info);
  picture.bytes_per_sample = png_get_bit_depth(self.png, self.info) / 8;
  if (type == PNG_COLOR_TYPE_PALETTE) {
    png_colorp colours = nullptr;
    png_bytep alphas = nullptr;
    int count = 0, transparent = 0;
    png_get_PLTE(self.png, self.info, &colours, &count);
    png_get_tRNS(self.png, self.info, &alphas, &transparent, nullptr);
    for (int i = 0; i < count; ++i)
      picture.palette.push_back(
          {1. * colours[i].red, 1. * colours[i].green, 1. * colours[i].blue, i < transparent ? 1. * alphas[i] : 255.});
    picture.channels = transparent > 0 ? 4 : 3;
  }
  const auto tensor_bytes = static_cast<uint64_t>(
      pixels * (options.channels == 0 ? picture.channels : options.channels) * size_of(options.dtype));
  if (row_bytes * height + tensor_bytes > std::max(kAlways, 16 * inflated_at_most(file.size())))
    throw IoError(name + ": " + size + " of a file of " + std::to_string(file.size()) + " bytes take too much memory");
  picture.samples.resize(row_bytes * height);
  rows = picture.samples.data();
  ok = guarded(self, [&](png_structp png, png_infop) {
    png_set_benign_errors(png, 0);  // data beyond the last row are an error, not a warning
    for (int pass = 0; pass < passes; ++pass)
      for (png_uint_32 row = 0; row < height; ++row) png_read_row(png, rows + row * row_bytes, nullptr);
    png_set_benign_errors(png, 1);
    png_read_end(png, nullptr);
  });
  if (!ok) damaged(name, self.message);
  if (self.used != file.size()) damaged(name, "something follows the picture");
  return picture;
}

// The channels of one pixel, 0 to 255 each, in another number of them: in four first, then in those asked for.
void convert_pixel(const double* from, int channels, double* to, int wanted) {
  const bool colour = channels >= 3;
  const double red = from[0], green = colour ? from[1] : red, blue = colour ? from[2] : red;
  const double alpha = channels % 2 == 0 ? from[channels - 1] : 255;
  if (wanted >= 3) to[0] = red, to[1] = green, to[2] = blue;
  else to[0] = colour ? 0.299 * red + 0.587 * green + 0.114 * blue : red;
  if (wanted % 2 == 0) to[wanted - 1] = alpha;
}

Tensor to_tensor(const Picture& picture, const PngOptions& options, const std::string& name) {
  const int channels = options.channels == 0 ? picture.channels : options.channels;
  Shape shape = {picture.height, picture.width};
  if (channels > 1) shape.push_back(channels);
  Tensor x = empty(shape, options.dtype);
  dispatch(options.dtype, [&](auto t) {
    using T = decltype(t);
    T* out = x.mutable_data<T>();
    const unsigned char* in = picture.samples.data();
    for (int64_t i = 0; i < picture.height * picture.width; ++i) {
      double pixel[4], wanted[4];
      if (picture.palette.empty()) {
        for (int c = 0; c < picture.channels; ++c, in += picture.bytes_per_sample)
          pixel[c] = picture.bytes_per_sample == 1 ? in[0] : (in[0] * 256 + in[1]) / 257.;
      } else {
        if (*in >= picture.palette.size()) damaged(name, "a pixel's colour is not in the palette");
        const std::array<double, 4>& colour = picture.palette[*in++];
        std::copy(colour.begin(), colour.end(), pixel);
      }
      convert_pixel(pixel, picture.channels, wanted, channels);
      for (int c = 0; c < channels; ++c) {
        const double value = wanted[c] * options.scale;
        if constexpr (std::is_integral_v<T>)
          if (!(std::abs(value) < 0x1p62)) throw IoError(name + ": a value times the scale is no int64");
        *out++ = static_cast<T>(std::is_integral_v<T> ? std::nearbyint(value) : value);
      }
    }
  });
  return x;
}

}  // namespace

Tensor parse_png(Bytes file, const PngOptions& options, const std::string& name) {
  if (options.channels < 0 || options.channels > 4) throw ShapeError("read_png: channels must be 0 to 4");
  if (!is_floating(options.dtype) && options.dtype != DType::int64)
    throw DTypeError(std::string("read_png: dtype must be float32, float64 or int64, not ") + cr::name(options.dtype));
  return to_tensor(decode(file, options, name), options, name);
}

std::string encode_png(const Tensor& x, double scale, const std::string& name) {
  const int64_t channels = x.dim() == 3 ? x.size(2) : 1;
  if (x.dim() < 2 || x.dim() > 3 || channels < 1 || channels > 4 || x.numel() == 0)
    throw ShapeError("write_png: needs (height, width) or (height, width, 1 to 4 channels), got " +
                     to_string(x.shape()));
  const int64_t height = x.size(0), width = x.size(1);
  if (height >= int64_t{1} << 24 || width >= int64_t{1} << 24)
    throw ShapeError("write_png: at most 16777215 pixels each way, got " + to_string(x.shape()));

  std::vector<unsigned char> samples(static_cast<size_t>(x.numel()));
  const Tensor values = to_host(x).to(DType::float64).contiguous();
  const double* from = values.data<double>();
  for (size_t i = 0; i < samples.size(); ++i) {
    const double value = std::nearbyint(from[i] * scale);
    if (std::isnan(value)) throw IoError("cannot write " + name + ": element " + std::to_string(i) + " is NaN");
    samples[i] = static_cast<unsigned char>(std::clamp(value, 0., 255.));
  }

  Png self;
  self.writing = true;
  self.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &self, on_error, on_warning);
  if (self.png) self.info = png_create_info_struct(self.png);
  if (!self.info) throw OutOfMemory("no memory to write " + name);
  constexpr int kTypes[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  const unsigned char* rows = samples.data();
  const bool ok = guarded(self, [&](png_structp png, png_infop info) {
    png_set_write_fn(png, &self, on_write, on_flush);
    png_set_user_limits(png, 1 << 24, 1 << 24);
    png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8, kTypes[channels - 1],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int64_t row = 0; row < height; ++row) png_write_row(png, rows + row * width * channels);
    png_write_end(png, nullptr);
  });
  if (!ok) throw IoError("cannot write " + name + ": " + self.message);
  return std::move(self.written);
}

#else

Tensor parse_png(Bytes, const PngOptions&, const std::string& name) {
  throw IoError(name + ": a PNG, and this build has no libpng");
}
std::string encode_png(const Tensor&, double, const std::string& name) {
  throw IoError("cannot write " + name + ": this build has no libpng");
}

#endif

Tensor read_png(const std::string& path, const PngOptions& options) {
  const std::string file = read_file(path);
  return parse_png(bytes_of(file), options, path);
}

void write_png(const std::string& path, const Tensor& x, double scale) { write_file(path, encode_png(x, scale, path)); }

}  // namespace cr::io

// # Errors
//
// One hierarchy. Whoever catches `Error` catches everything the library says about bad input; each message is one line
// in the reader's terms and names the operation, what it was given and what would fit. A chapter program turns any of
// them into that one line on stderr and exit status 2.
#pragma once

#include <stdexcept>
#include <string>

namespace cr {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct ShapeError : Error {
  using Error::Error;
};  // sizes that do not fit together
struct DTypeError : Error {
  using Error::Error;
};  // an operation does not take this element type
struct IndexError : Error {
  using Error::Error;
};  // an index, dimension or class label out of range
struct DeviceError : Error {
  using Error::Error;
};  // no such device, or operands on different ones
struct LinAlgError : Error {
  using Error::Error;
};  // a matrix that is singular or not positive definite, or an iteration that did not converge
struct IoError : Error {
  using Error::Error;
};  // a file that is missing, damaged or cannot be written
struct OutOfMemory : Error {
  using Error::Error;
};  // the system refused an allocation; the library stays usable
struct AutogradError : Error {
  using Error::Error;
};  // a derivative asked for that does not exist, or saved data changed

}  // namespace cr

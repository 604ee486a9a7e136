// What the parts of the emulated CUDA share: memory by device, streams, recordings, counters.
//
// Everything here is called with `lock` held. Statuses are CUDA's own numbers (cudaError_t), which
// the driver API shares; 0 is success.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace emulated {

extern std::recursive_mutex lock;
using Locked = std::lock_guard<std::recursive_mutex>;

// Remembers a failure for cudaGetLastError, and returns it.
int failed(int status);

// ---- devices
int device_count();
int current_device();

// ---- memory
size_t total_memory();
int owner(const void* pointer);  // the device whose memory this is, or -1 for the host's
bool is_block(const void* pointer, size_t bytes);  // lies within one live block of some device

// Runs `work`; gives status 700 (illegal address) where it touches no live block of device memory.
using Work = std::function<int()>;
int guarded(const Work& work);

// ---- commands: what a stream executes
enum Kind { KERNEL, PRODUCT, COPY_IN, COPY_OUT, COPY_WITHIN, FILL, GRAPH, CALLBACK, KINDS };

struct Command {
  Kind kind;
  std::string name;
  Work work;
};

struct Recording {
  std::vector<Command> commands;
};

struct Stream {
  int device = 0;
  unsigned flags = 0;
  int priority = 0;
  bool at_once = false;            // the default streams; others wait until something needs them
  std::deque<Command> waiting;
  uint64_t submitted = 0, done = 0;
  bool idle = true;                // as far as the host knows: nothing was given since it waited
  Recording* recording = nullptr;  // while capturing
  bool began = false;              // the capture began here, and did not join from another stream
  bool invalidated = false;
  int mode = 0;
};

Stream* find_stream(void* handle);  // null for a handle that is no stream
bool anyone_captures_strictly();    // in a mode that forbids allocation meanwhile

// Gives a command to a stream: recorded while it captures, run now or later otherwise.
int submit(void* stream, Kind kind, std::string name, Work work);
int run(const Command& command);
void run_until(Stream& stream, uint64_t count);
void run_everything();

// The host waits for a stream: counted, refused where a test forbids it, an error in a capture.
int host_waits_for(void* stream);
int host_waits();  // counts one wait; not 0 where waiting is forbidden

// ---- counters, read by emulated_cuda/__init__.py in this order
struct Counters {
  long waits = 0;
  std::array<long, KINDS> given{};     // by the host, one by one
  std::array<long, KINDS> executed{};  // these, and those within graphs
};
extern Counters counters;

}  // namespace emulated

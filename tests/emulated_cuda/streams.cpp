// Streams, events, capture and graphs: when a command runs, and what may not be done meanwhile.
//
// A default stream runs at once. Any other stream keeps its commands until something needs them: a
// wait by the host, an event that another stream waits for, the default stream (for a stream that
// is not "non-blocking"). A GPU may be as late as that, so work that forgets to wait reads memory
// that is not yet written, each time instead of seldom.
#include "core.h"

#include <chrono>
#include <cstdio>
#include <set>

#include <cuda_runtime_api.h>

using namespace emulated;

std::recursive_mutex emulated::lock;
Counters emulated::counters;

namespace {

std::set<Stream*> streams;  // those that were created
bool waiting_is_forbidden = false;

Stream* default_stream(int device, bool per_thread) {
  static Stream all[2][8];
  Stream* stream = &all[per_thread][device];
  stream->device = device;
  stream->at_once = true;
  return stream;
}

bool is_legacy(Stream* stream) { return stream == default_stream(stream->device, false); }
bool blocks(Stream* stream) { return !(stream->flags & cudaStreamNonBlocking); }

// The legacy stream would have to wait for a stream that captures: CUDA gives up on the capture.
bool breaks_a_capture(Stream* stream) {
  if (!is_legacy(stream)) return false;
  bool found = false;
  for (Stream* each : streams) found |= each->recording && blocks(each);
  if (found)
    for (Stream* each : streams) each->invalidated |= each->recording != nullptr;
  return found;
}

}  // namespace

Stream* emulated::find_stream(void* handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return default_stream(current_device(), false);
  if (handle == cudaStreamPerThread) return default_stream(current_device(), true);
  Stream* stream = static_cast<Stream*>(handle);
  return streams.count(stream) ? stream : nullptr;
}

bool emulated::anyone_captures_strictly() {
  for (Stream* each : streams)
    if (each->recording && each->mode != cudaStreamCaptureModeRelaxed) {
      each->invalidated = true;
      return true;
    }
  return false;
}

int emulated::run(const Command& command) {
  counters.executed[command.kind]++;
  return failed(guarded(command.work));
}

void emulated::run_until(Stream& stream, uint64_t count) {
  while (stream.done < count && !stream.waiting.empty()) {
    Command next = std::move(stream.waiting.front());
    stream.waiting.pop_front();
    run(next);
    stream.done++;
  }
}

void emulated::run_everything() {
  for (Stream* each : std::set<Stream*>(streams)) run_until(*each, each->submitted);
}

int emulated::submit(void* handle, Kind kind, std::string name, Work work) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return failed(cudaErrorInvalidResourceHandle);
  if (breaks_a_capture(stream)) return failed(cudaErrorStreamCaptureImplicit);
  Command command{kind, std::move(name), std::move(work)};
  if (stream->recording) {
    if (stream->invalidated) return failed(cudaErrorStreamCaptureInvalidated);
    stream->recording->commands.push_back(std::move(command));
    return 0;
  }
  counters.given[kind]++;
  stream->idle = false;
  if (!stream->at_once) {
    stream->waiting.push_back(std::move(command));
    stream->submitted++;
    return 0;
  }
  for (Stream* each : streams)
    if (blocks(each) && each->device == stream->device) run_until(*each, each->submitted);
  return run(command);
}

int emulated::host_waits() {
  counters.waits++;
  return waiting_is_forbidden ? failed(cudaErrorNotPermitted) : 0;
}

int emulated::host_waits_for(void* handle) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return failed(cudaErrorInvalidResourceHandle);
  if (stream->recording) {
    stream->invalidated = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  if (breaks_a_capture(stream)) return failed(cudaErrorStreamCaptureImplicit);
  if (is_legacy(stream))
    for (Stream* each : streams)
      if (blocks(each)) run_until(*each, each->submitted);
  run_until(*stream, stream->submitted);
  if (stream->idle) return 0;  // to ask a second time is no second wait
  stream->idle = true;
  return host_waits();
}

EXPORT void emulated_forbid_waiting(int forbid) { waiting_is_forbidden = forbid; }
EXPORT void emulated_counters(long* into) {
  Locked locked(lock);
  *into++ = counters.waits;
  for (long each : counters.given) *into++ = each;
  for (long each : counters.executed) *into++ = each;
}

// ---- streams

EXPORT cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int priority) {
  Locked locked(lock);
  auto* stream = new Stream;
  stream->device = current_device();
  stream->flags = flags;
  stream->priority = priority;
  streams.insert(stream);
  *out = reinterpret_cast<cudaStream_t>(stream);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  return cudaStreamCreateWithPriority(out, flags, 0);
}
EXPORT cudaError_t cudaStreamCreate(cudaStream_t* out) { return cudaStreamCreateWithPriority(out, 0, 0); }
EXPORT cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream || stream->at_once) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  run_until(*stream, stream->submitted);
  streams.erase(stream);
  if (stream->began) delete stream->recording;
  delete stream;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  *flags = stream->flags;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  *priority = stream->priority;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t handle) { return cudaError_t(host_waits_for(handle)); }
EXPORT cudaError_t cudaDeviceSynchronize() {
  Locked locked(lock);
  for (Stream* each : streams)
    if (each->recording) {
      each->invalidated = true;
      return cudaError_t(failed(cudaErrorStreamCaptureUnsupported));
    }
  run_everything();
  return cudaError_t(host_waits());
}
// Each question lets the stream go on by one command, so that asking again and again ends.
EXPORT cudaError_t cudaStreamQuery(cudaStream_t handle) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  if (stream->recording) {
    stream->invalidated = true;
    return cudaError_t(failed(cudaErrorStreamCaptureUnsupported));
  }
  run_until(*stream, stream->done + 1);
  return stream->waiting.empty() ? cudaSuccess : cudaErrorNotReady;
}
EXPORT cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return cudaError_t(submit(handle, CALLBACK, "host function", [=] { return function(data), 0; }));
}
EXPORT cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t function, void* data,
                                         unsigned) {
  return cudaError_t(
      submit(handle, CALLBACK, "callback", [=] { return function(handle, cudaSuccess, data), 0; }));
}

// ---- events: a place in a stream

namespace {

struct Event {
  Stream* stream = nullptr;
  uint64_t place = 0;
  Recording* recording = nullptr;
  double milliseconds = 0.0;
};

Event* event_of(cudaEvent_t handle) { return reinterpret_cast<Event*>(handle); }

void reach(const Event& event) {
  const bool exists = event.stream && (event.stream->at_once || streams.count(event.stream));
  if (exists) run_until(*event.stream, event.place);
}

}  // namespace

EXPORT cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  *out = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, 0); }
EXPORT cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  delete event_of(handle);
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  Locked locked(lock);
  Stream* stream = find_stream(stream_handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const double milliseconds = std::chrono::duration<double, std::milli>(now).count();
  *event_of(handle) = Event{stream, stream->submitted, stream->recording, milliseconds};
  return cudaSuccess;
}
EXPORT cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  Locked locked(lock);
  if (event_of(handle)->recording) return cudaError_t(failed(cudaErrorStreamCaptureUnsupported));
  reach(*event_of(handle));
  return cudaError_t(host_waits());
}
EXPORT cudaError_t cudaEventQuery(cudaEvent_t handle) {
  Locked locked(lock);
  Event* event = event_of(handle);
  if (event->recording) return cudaError_t(failed(cudaErrorStreamCaptureUnsupported));
  if (!event->stream || event->stream->at_once || !streams.count(event->stream)) return cudaSuccess;
  if (event->stream->done < event->place) run_until(*event->stream, event->stream->done + 1);
  return event->stream->done < event->place ? cudaErrorNotReady : cudaSuccess;
}
EXPORT cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = float(event_of(to)->milliseconds - event_of(from)->milliseconds);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  const Event event = *event_of(event_handle);
  if (event.recording) {  // a fork: the stream joins the capture
    if (!stream->recording) stream->recording = event.recording;
  } else if (stream->at_once) {
    reach(event);
  } else if (!stream->recording) {
    stream->waiting.push_back({CALLBACK, "wait for an event", [event] { return reach(event), 0; }});
    stream->submitted++;
  }
  return cudaSuccess;
}

// ---- capture and graphs

EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  if (is_legacy(stream)) return cudaError_t(failed(cudaErrorStreamCaptureUnsupported));
  if (stream->recording) return cudaError_t(failed(cudaErrorInvalidValue));
  stream->recording = new Recording;
  stream->began = true;
  stream->invalidated = false;
  stream->mode = mode;
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* out) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  if (!stream->recording || !stream->began) return cudaError_t(failed(cudaErrorInvalidValue));
  Recording* recording = stream->recording;
  bool invalidated = stream->invalidated;
  for (Stream* each : streams) {
    if (each->recording != recording) continue;
    invalidated |= each->invalidated;
    each->recording = nullptr;
    each->began = each->invalidated = false;
  }
  if (invalidated) {
    delete recording;
    *out = nullptr;
    return cudaError_t(failed(cudaErrorStreamCaptureInvalidated));
  }
  *out = reinterpret_cast<cudaGraph_t>(recording);
  return cudaSuccess;
}
EXPORT cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  Locked locked(lock);
  Stream* stream = find_stream(handle);
  if (!stream) return cudaError_t(failed(cudaErrorInvalidResourceHandle));
  if (breaks_a_capture(stream)) return cudaError_t(failed(cudaErrorStreamCaptureImplicit));
  *status = !stream->recording     ? cudaStreamCaptureStatusNone
            : stream->invalidated ? cudaStreamCaptureStatusInvalidated
                                  : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  *out = reinterpret_cast<cudaGraphExec_t>(new Recording(*reinterpret_cast<Recording*>(graph)));
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Recording*>(graph);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  Locked locked(lock);
  run_everything();
  delete reinterpret_cast<Recording*>(graph);
  return cudaSuccess;
}
EXPORT cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
EXPORT cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  auto* recording = reinterpret_cast<Recording*>(graph);
  return cudaError_t(submit(stream, GRAPH, "graph", [recording] {
    for (const Command& each : recording->commands)
      if (const int status = run(each)) return status;
    return 0;
  }));
}
EXPORT cudaError_t cudaGraphDebugDotPrint(cudaGraph_t graph, const char* path, unsigned) {
  FILE* file = fopen(path, "w");
  if (!file) return cudaError_t(failed(cudaErrorInvalidValue));
  fprintf(file, "digraph emulated {\n");
  size_t number = 0;
  for (const Command& each : reinterpret_cast<Recording*>(graph)->commands)
    fprintf(file, "n%zu [label=\"%s\"];\n", number++, each.name.c_str());
  fprintf(file, "}\n");
  fclose(file);
  return cudaSuccess;
}

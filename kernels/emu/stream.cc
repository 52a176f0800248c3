// stream.cc — streams and events. Each stream has a thread of the host that does its work in order, some time after the call that gave it.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "machine.h"

namespace vqs_emu {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool Reached(const Mark& m) { return m.stream == nullptr || m.stream->done >= m.operations; }

// Want makes late streams go on up to a mark.
void Want(const Mark& m) {
  if (m.stream == nullptr || m.stream->wanted >= m.operations) return;
  m.stream->wanted = m.operations;
  TheMachine().changed.notify_all();
}

void Serve(std::shared_ptr<Stream> stream) {
  Machine& machine = TheMachine();
  Lock lock(machine.mutex);
  for (;;) {
    machine.changed.wait(lock, [&] {
      if (stream->queue.empty()) return stream->closed;
      return !TheSettings().late || stream->closed || stream->wanted > stream->done;
    });
    if (stream->queue.empty()) return;
    Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    for (const Mark& m : operation.after) {
      Want(m);
      machine.changed.wait(lock, [&] { return Reached(m); });
    }
    Context* const context = stream->context;
    if (context->error == 0) {
      lock.unlock();
      const CUresult error = operation.run();
      operation.run = nullptr;  // what it holds is let go of without the mutex
      lock.lock();
      if (error != 0 && context->error == 0) context->error = error;
    }
    ++stream->done;
    machine.changed.notify_all();
  }
}

}  // namespace

std::shared_ptr<Stream> NewStream(Context* context, unsigned flags, int priority) {
  auto stream = std::make_shared<Stream>();
  stream->context = context;
  stream->flags = flags;
  stream->priority = priority;
  context->streams[stream.get()] = stream;
  // Signals are for the threads of the program.
  sigset_t all, before;
  sigfillset(&all);
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, s);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(Serve, stream).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return stream;
}

std::shared_ptr<Stream> FindStream(Context* context, CUstream handle) {
  const uintptr_t number = reinterpret_cast<uintptr_t>(handle);
  if (number <= 1) return context->null_stream;  // 1 is the same by another name
  const auto found = context->streams.find(reinterpret_cast<Stream*>(handle));
  return found == context->streams.end() ? nullptr : found->second;
}

Mark EndOf(const std::shared_ptr<Stream>& stream) { return Mark{stream, stream->given}; }

Mark Give(const Lock&, const std::shared_ptr<Stream>& stream, std::function<CUresult()> run, std::vector<Mark> after) {
  Context& context = *stream->context;
  // The null stream and the blocking ones wait for each other.
  if (stream == context.null_stream) {
    for (auto& [_, other] : context.streams) {
      if (other != stream && (other->flags & CU_STREAM_NON_BLOCKING) == 0) after.push_back(EndOf(other));
    }
  } else if ((stream->flags & CU_STREAM_NON_BLOCKING) == 0) {
    after.push_back(EndOf(context.null_stream));
  }
  stream->queue.push_back(Operation{std::move(after), std::move(run)});
  ++stream->given;
  TheMachine().changed.notify_all();
  return EndOf(stream);
}

CUresult Await(Lock& lock, const Mark& mark) {
  Want(mark);
  TheMachine().changed.wait(lock, [&] { return Reached(mark); });
  return mark.stream == nullptr ? 0 : mark.stream->context->error;
}

CUresult AwaitAll(Lock& lock, Context* context) {
  std::vector<Mark> marks;
  for (auto& [_, stream] : context->streams) marks.push_back(EndOf(stream));
  for (const Mark& m : marks) Await(lock, m);
  return context->error;
}

void CloseStreams(Lock& lock, Context* context) {
  AwaitAll(lock, context);
  for (auto& [_, stream] : context->streams) stream->closed = true;
  context->streams.clear();
  context->null_stream = nullptr;
  TheMachine().changed.notify_all();
}

// --- entry points

VQS_API CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  return Enter("cuStreamCreateWithPriority", kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (stream == nullptr || (flags & ~CU_STREAM_NON_BLOCKING) != 0) return CUDA_ERROR_INVALID_VALUE;
    *stream = reinterpret_cast<CUstream>(NewStream(context, flags, priority > 0 ? 0 : priority < -1 ? -1 : priority).get());
    return 0;
  });
}

VQS_API CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return Enter("cuStreamCreate", kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (stream == nullptr || (flags & ~CU_STREAM_NON_BLOCKING) != 0) return CUDA_ERROR_INVALID_VALUE;
    *stream = reinterpret_cast<CUstream>(NewStream(context, flags, 0).get());
    return 0;
  });
}

// WithStream enters a call that names a stream.
template <typename Body>
static CUresult WithStream(const char* call, CUstream handle, Body body) {
  return Enter(call, kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    const std::shared_ptr<Stream> stream = FindStream(context, handle);
    return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(lock, stream);
  });
}

VQS_API CUresult cuStreamDestroy_v2(CUstream handle) {
  return WithStream("cuStreamDestroy_v2", handle, [&](Lock&, const std::shared_ptr<Stream>& stream) -> CUresult {
    Context& context = *stream->context;
    if (stream == context.null_stream) return CUDA_ERROR_INVALID_HANDLE;
    // Its work is still done; the thread ends after that. The null stream is where others wait for it.
    const Mark end = EndOf(stream);
    stream->closed = true;
    context.streams.erase(stream.get());
    context.null_stream->queue.push_back(Operation{{end}, [] { return 0; }});
    ++context.null_stream->given;
    TheMachine().changed.notify_all();
    return 0;
  });
}

VQS_API CUresult cuStreamSynchronize(CUstream handle) {
  return WithStream("cuStreamSynchronize", handle, [](Lock& lock, const std::shared_ptr<Stream>& stream) {
    if (stream == stream->context->null_stream) {
      // What waits for the null stream's turn is the blocking streams' work.
      for (auto& [_, other] : std::map<Stream*, std::shared_ptr<Stream>>(stream->context->streams)) {
        if ((other->flags & CU_STREAM_NON_BLOCKING) == 0) Await(lock, EndOf(other));
      }
    }
    return Await(lock, EndOf(stream));
  });
}

VQS_API CUresult cuStreamQuery(CUstream handle) {
  return WithStream("cuStreamQuery", handle, [](Lock&, const std::shared_ptr<Stream>& stream) -> CUresult {
    Want(EndOf(stream));
    return Reached(EndOf(stream)) ? stream->context->error : CUDA_ERROR_NOT_READY;
  });
}

VQS_API CUresult cuStreamGetFlags(CUstream handle, unsigned* flags) {
  return WithStream("cuStreamGetFlags", handle, [&](Lock&, const std::shared_ptr<Stream>& stream) -> CUresult {
    if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *flags = stream->flags;
    return 0;
  });
}

VQS_API CUresult cuStreamGetPriority(CUstream handle, int* priority) {
  return WithStream("cuStreamGetPriority", handle, [&](Lock&, const std::shared_ptr<Stream>& stream) -> CUresult {
    if (priority == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *priority = stream->priority;
    return 0;
  });
}

VQS_API CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void* data, unsigned flags) {
  return WithStream("cuStreamAddCallback", handle, [&](Lock& lock, const std::shared_ptr<Stream>& stream) -> CUresult {
    if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    Give(lock, stream, [=]() -> CUresult {
      callback(handle, 0, data);
      return 0;
    });
    return 0;
  });
}

// WithEvent enters a call that names an event.
template <typename Body>
static CUresult WithEvent(const char* call, CUevent handle, Body body) {
  return Enter(call, kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    Event* const event = reinterpret_cast<Event*>(handle);
    return context->events.count(event) == 0 ? CUDA_ERROR_INVALID_HANDLE : body(lock, *event);
  });
}

VQS_API CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned flags) {
  return WithEvent("cuStreamWaitEvent", event, [&](Lock& lock, Event& e) -> CUresult {
    const std::shared_ptr<Stream> stream = FindStream(e.context, handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
    // Of an event that was never recorded there is nothing to wait for.
    if (e.recorded.stream != nullptr) Give(lock, stream, [] { return 0; }, {e.recorded});
    return 0;
  });
}

VQS_API CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return Enter("cuEventCreate", kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (event == nullptr || flags > 7 || (flags & CU_EVENT_INTERPROCESS) != 0) return CUDA_ERROR_INVALID_VALUE;
    Event* const made = new Event{context, flags, {}, nullptr};
    context->events.insert(made);
    *event = reinterpret_cast<CUevent>(made);
    return 0;
  });
}

VQS_API CUresult cuEventDestroy_v2(CUevent event) {
  return WithEvent("cuEventDestroy_v2", event, [](Lock&, Event& e) -> CUresult {
    e.context->events.erase(&e);
    delete &e;
    return 0;
  });
}

VQS_API CUresult cuEventRecord(CUevent event, CUstream handle) {
  return WithEvent("cuEventRecord", event, [&](Lock& lock, Event& e) -> CUresult {
    const std::shared_ptr<Stream> stream = FindStream(e.context, handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    auto when = std::make_shared<std::atomic<int64_t>>(0);
    e.when = when;
    e.recorded = Give(lock, stream, [when]() -> CUresult {
      *when = Now();
      return 0;
    });
    return 0;
  });
}

VQS_API CUresult cuEventQuery(CUevent event) {
  return WithEvent("cuEventQuery", event, [](Lock&, Event& e) -> CUresult {
    Want(e.recorded);
    return Reached(e.recorded) ? e.context->error : CUDA_ERROR_NOT_READY;
  });
}

VQS_API CUresult cuEventSynchronize(CUevent event) {
  return WithEvent("cuEventSynchronize", event, [](Lock& lock, Event& e) -> CUresult {
    Context* const context = e.context;  // the event may be destroyed meanwhile
    const Mark mark = e.recorded;
    Await(lock, mark);
    return context->error;
  });
}

VQS_API CUresult cuEventElapsedTime(float* milliseconds, CUevent begin, CUevent end) {
  return WithEvent("cuEventElapsedTime", begin, [&](Lock&, Event& from) -> CUresult {
    Event* const to = reinterpret_cast<Event*>(end);
    if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (from.context->events.count(to) == 0 || ((from.flags | to->flags) & CU_EVENT_DISABLE_TIMING) != 0 || from.when == nullptr ||
        to->when == nullptr) {
      return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!Reached(from.recorded) || !Reached(to->recorded)) return CUDA_ERROR_NOT_READY;
    *milliseconds = static_cast<float>(static_cast<double>(*to->when - *from.when) / 1e6);
    return 0;
  });
}

}  // namespace vqs_emu

// Ctrl-C and SIGTERM: noted, asked for between two pieces of work, and fatal the second time.
#pragma once

#include "datashard/result.h"

namespace datashard::cli {

/// Installs handlers for SIGINT and SIGTERM that only take note, and ignores SIGPIPE. A second signal of the same kind
/// ends the process at once: the default action is restored by the first.
void WatchSignals();
/// The signal that came, or 0.
int PendingSignal();
/// kUnavailable "interrupted" once a signal came, or the failure of the input that was noted; fits
/// datashard::Interrupted.
Status CheckSignals();

/// A descriptor that becomes readable once a signal came or WakeSignalChannel was called, and stays so.
int SignalChannel();
void WakeSignalChannel();
/// Lets CheckSignals fail: standard input broke with `error_number`, and its readers see no more than an end.
void NoteInputFailure(int error_number);

}  // namespace datashard::cli

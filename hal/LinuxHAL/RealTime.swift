import CLinux

/// The threads that a driver's safety hangs on come before all ordinary ones.
///
/// The packaged unit allows it (`LimitRTPRIO`); elsewhere it may be refused. The thread works then as
/// well, only less promptly on a busy board.
package enum RealTime: Int32, Sendable {
    /// Sees the pilot.
    case sampling = 40
    /// Decides about the contactors.
    case deciding = 45
    /// Opens them.
    case opening = 50

    /// Gives the calling thread its place; false where that is refused.
    @discardableResult
    package func take() -> Bool { kerb_thread_realtime(rawValue) == 0 }
}

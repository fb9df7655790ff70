import Glibc
import HAL
import Service

/// A reading that may block, made over and over on a thread of its own; whoever asks gets the last
/// one with its age, at once.
///
/// A file of sysfs answers when its driver does, which on a hung bus is never. The thread that
/// decides about contactors must not wait for it.
package final class Sampler<Value: Sendable>: Sendable {
    package let name: String
    private let everyMilliseconds: Int64
    private let staleMilliseconds: Int64
    private let isPatient: Bool
    private let clock: any ServiceClock
    private let read: @Sendable () throws(DeviceError) -> Value
    private let state = Lock(State())

    private struct State: Sendable {
        var last: (value: Value, askedAt: Int64)?
        var failure: DeviceError?
        var isEnding = false
    }

    /// A device that is not there is looked for again after this.
    private static var reopenMilliseconds: Int64 { 500 }

    /// - `staleMilliseconds`: a reading asked for longer ago is none.
    /// - `isPatient`: a device that does not answer is a failure only once its last reading is too old.
    /// - `read` is called by the thread alone and may take its time.
    package init(
        name: String, everyMilliseconds: Int64, staleMilliseconds: Int64,
        isPatient: Bool = false, clock: any ServiceClock,
        read: @escaping @Sendable () throws(DeviceError) -> Value
    ) {
        self.name = name
        self.everyMilliseconds = everyMilliseconds
        self.staleMilliseconds = staleMilliseconds
        self.isPatient = isPatient
        self.clock = clock
        self.read = read
    }

    /// Starts to read until `stop`.
    package func start() {
        NativeThread.start(name, stackBytes: 262_144) { [self] in
            RealTime.sampling.take()
            while !state.withLock({ $0.isEnding }) {
                let isThere = sample()
                let pause = isThere ? everyMilliseconds : Self.reopenMilliseconds
                usleep(UInt32(1000 * max(pause, everyMilliseconds)))
            }
        }
    }

    /// Ends the thread after the reading under way, however long that hangs.
    package func stop() { state.withLock { $0.isEnding = true } }

    /// One reading: the thread's work, for whoever has no thread. False when the device is not there.
    @discardableResult
    package func sample() -> Bool {
        let askedAt = clock.monotonicMilliseconds
        do throws(DeviceError) {
            let value = try read()
            state.withLock {
                $0.last = (value, askedAt)
                $0.failure = nil
            }
            return true
        } catch {
            state.withLock { $0.failure = error }
            return error.isDisbelief
        }
    }

    /// The last reading and when it was asked for.
    ///
    /// - Throws: what the last try failed with; `.noAnswer` where the last good one is too old.
    package func latest() throws(DeviceError) -> (value: Value, askedAt: Int64) {
        let now = clock.monotonicMilliseconds
        let (last, failure) = state.withLock { ($0.last, $0.failure) }
        let isFresh = last.map { now - $0.askedAt <= staleMilliseconds } ?? false
        if let failure, !(isPatient && isFresh && !failure.isDisbelief) { throw failure }
        guard let last, isFresh else { throw .noAnswer }
        return last
    }
}

extension DeviceError {
    /// True where the device is there and said what cannot be believed.
    var isDisbelief: Bool { if case .wrongAnswer = self { true } else { false } }
}

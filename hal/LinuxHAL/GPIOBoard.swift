import CLinux
import Charging
import Glibc
import HAL
import Service

/// Something that happens by time alone: a kicked line, a blinking light, the end of a pulse.
protocol GPIOClockwork: AnyObject, Sendable {
    /// Does what is due at a monotonic millisecond and says when the next thing is.
    func advance(to now: Int64) -> Int64?
}

/// What a safety input did by itself, for the log.
package struct GPIOFall: Hashable, Sendable {
    package var line: String
    package var role: LineRole
    /// Contactors that were closed and are open now.
    package var opened: [String]
    /// From the kernel's time stamp of the edge to the return of the call that opened.
    package var reactionMicroseconds: Int64
}

/// All GPIO lines of one board: requested once, watched by one thread.
///
/// The thread opens contactors at the edge of a safety input, before anybody decides anything; it
/// is not one of Swift's pool, because poll() blocks. Outputs are set by whoever calls, at once.
package final class GPIOBoard: Sendable {
    package let clock: any ServiceClock
    let watches: Lock<Watches>
    private let lines: [GPIOWish: LineHandle]
    private let requests: [any GPIORequest]
    private let wakeUp: Int32
    private let tell: @Sendable (GPIOFall) -> Void

    struct LineHandle: Sendable {
        var request: Int
        var bit: Int
        var wish: GPIOWish
        var mask: UInt64 { 1 << UInt64(bit) }
    }

    /// What the thread and the drivers share.
    struct Watches: Sendable {
        /// By request and bit.
        var inputs: [Key: LineWatch] = [:]
        var guarded: [Key: [GPIOContactor]] = [:]
        var clockworks: [any GPIOClockwork] = []
        var lost: [Int: GPIOError] = [:]
        var reactions = ReactionTimes()
        /// Inputs that a self-test plays with: nothing closes meanwhile.
        var tested: [Key: Int] = [:]

        struct Key: Hashable, Sendable {
            var request: Int
            var bit: Int
        }
    }

    /// Never longer without looking whether something is due.
    private static let longestWaitMilliseconds: Int64 = 1_000

    /// Takes all lines: held ones are taken over as they are, the others are requested with outputs
    /// at their inactive level. Nothing waits for edges before `start`.
    package init(
        kernel: any GPIOKernel, wishes: [GPIOWish], held: HeldLines = HeldLines(),
        clock: any ServiceClock = .system,
        tell: @escaping @Sendable (GPIOFall) -> Void = { _ in }
    ) throws(GPIOError) {
        self.clock = clock
        self.tell = tell
        let chips = try kernel.chips()
        let plan = try GPIOPlan(wishes, on: chips, mayBeHeld: true)
        var placed: [GPIOPlan.Place: (request: Int, bit: Int)] = [:]
        var requests: [any GPIORequest] = []
        for request in held.requests {
            let wanted = plan.settings[request.chip] ?? []
            let final = request.settings.map { held in
                wanted.first { $0.offset == held.offset } ?? held
            }
            if final != request.settings { try request.lines.reconfigure(final) }
            for (bit, setting) in final.enumerated() {
                placed[.init(chip: request.chip, offset: setting.offset)] = (requests.count, bit)
            }
            requests.append(request.lines)
        }
        for (chip, settings) in plan.settings.sorted(by: { $0.key < $1.key }) {
            let missing = settings.filter {
                placed[.init(chip: chip, offset: $0.offset)] == nil
            }
            guard !missing.isEmpty else { continue }
            for setting in missing {
                guard let line = chips.line(chip, setting.offset), let holder = line.holder else {
                    continue
                }
                throw .held(line.name, by: holder)
            }
            let lines = try kernel.request(missing, chip: chip)
            for (bit, setting) in missing.enumerated() {
                placed[.init(chip: chip, offset: setting.offset)] = (requests.count, bit)
            }
            requests.append(lines)
        }
        var handles: [GPIOWish: LineHandle] = [:]
        for (wish, place) in plan.places {
            guard let (request, bit) = placed[place] else {
                throw .noLine(wish.name, chip: wish.chip, nearest: nil)
            }
            handles[wish] = LineHandle(request: request, bit: bit, wish: wish)
        }
        var watches = Watches()
        for handle in handles.values where !handle.wish.role.isOutput {
            let level = try requests[handle.request].read(handle.mask) != 0
            watches.inputs[.init(request: handle.request, bit: handle.bit)] = LineWatch(
                isActiveLow: handle.wish.profile.isActiveLow, level: level)
        }
        lines = handles
        self.requests = requests
        self.watches = Lock(watches)
        wakeUp = kerb_wake_open()
        offsets = Self.offsets(handles, placed)
    }

    private let offsets: [[UInt32: Int]]

    /// By request: which bit an offset is.
    private static func offsets(
        _ handles: [GPIOWish: LineHandle],
        _ placed: [GPIOPlan.Place: (request: Int, bit: Int)]
    ) -> [[UInt32: Int]] {
        let count = (placed.values.map(\.request).max() ?? -1) + 1
        var offsets = [[UInt32: Int]](repeating: [:], count: count)
        for (place, found) in placed { offsets[found.request][place.offset] = found.bit }
        return offsets
    }

    deinit { if wakeUp >= 0 { close(wakeUp) } }

    // MARK: Lines

    /// A line of a connector; nil where the board has none of this role.
    package func output(_ role: LineRole, connector: Int) -> GPIOOutput? {
        handle(role, connector).map { GPIOOutput(board: self, handle: $0) }
    }

    package func input(_ role: LineRole, connector: Int) -> GPIOInput? {
        handle(role, connector).map { GPIOInput(board: self, handle: $0) }
    }

    private func handle(_ role: LineRole, _ connector: Int) -> LineHandle? {
        lines.values.first { $0.wish.role == role && $0.wish.connector == connector }
    }

    func write(_ handle: LineHandle, active: Bool) throws(GPIOError) {
        let level = active != handle.wish.profile.isActiveLow
        try requests[handle.request].write(level ? handle.mask : 0, handle.mask)
    }

    /// Several outputs; those of one request change in the same moment.
    func write(_ wanted: [(LineHandle, Bool)]) throws(GPIOError) {
        for request in Set(wanted.map(\.0.request)).sorted() {
            var levels: UInt64 = 0
            var mask: UInt64 = 0
            for (handle, active) in wanted where handle.request == request {
                mask |= handle.mask
                if active != handle.wish.profile.isActiveLow { levels |= handle.mask }
            }
            try requests[request].write(levels, mask)
        }
    }

    /// Reads a line now. Acts on nothing: a contactor may ask while it holds its own lock.
    func read(_ handle: LineHandle) throws(GPIOError) -> LineWatch {
        if let lost = watches.withLock({ $0.lost[handle.request] }) { throw lost }
        let level = try requests[handle.request].read(handle.mask) != 0
        let key = Watches.Key(request: handle.request, bit: handle.bit)
        return watches.withLock { watches in
            var watch =
                watches.inputs[key]
                ?? LineWatch(isActiveLow: handle.wish.profile.isActiveLow, level: level)
            watch.read(level: level)
            watches.inputs[key] = watch
            return watch
        }
    }

    // MARK: The thread

    /// Starts to watch. Call it once, when all drivers are made.
    package func start() {
        _ = NativeThread.start("gpio", stackBytes: 262_144) { [self] in
            RealTime.opening.take()
            var dead: Set<Int> = []
            while true {
                let due = advance()
                wait(until: due, dead: &dead)
            }
        }
    }

    /// Makes the thread look what is due now.
    func wake() { if wakeUp >= 0 { kerb_wake(wakeUp) } }

    func add(_ clockwork: any GPIOClockwork) {
        watches.withLock { $0.clockworks.append(clockwork) }
    }

    /// Makes an input's edge open a contactor.
    func guardContactor(_ contactor: GPIOContactor, by inputs: [GPIOInput]) {
        watches.withLock { watches in
            for input in inputs { watches.guarded[input.key, default: []].append(contactor) }
        }
    }

    /// Does what is due; returns when the next thing is.
    package func advance() -> Int64? {
        let now = clock.monotonicMilliseconds
        let clockworks = watches.withLock { $0.clockworks }
        return clockworks.compactMap { $0.advance(to: now) }.min()
    }

    private func wait(until due: Int64?, dead: inout Set<Int>) {
        let left = due.map { $0 - clock.monotonicMilliseconds } ?? Self.longestWaitMilliseconds
        var polled = [pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)]
        let living = requests.indices.filter { !dead.contains($0) }
        polled += living.map {
            pollfd(fd: requests[$0].descriptor, events: Int16(POLLIN), revents: 0)
        }
        let timeout = Int32(max(0, min(left, Self.longestWaitMilliseconds)))
        guard poll(&polled, nfds_t(polled.count), timeout) > 0 else { return }
        // Edges before anything else: one of them may have to open a contactor.
        for (index, request) in living.enumerated() where polled[index + 1].revents != 0 {
            if polled[index + 1].revents & Int16(POLLIN) == 0 {
                lose(request, .failed("GPIO lines are gone", errno: ENODEV))
                dead.insert(request)
            } else if !drain(request) {
                dead.insert(request)
            }
        }
        if polled[0].revents != 0 { kerb_wake_taken(wakeUp) }
    }

    /// Takes the edges that wait on all lines. The thread's work, for whoever has no thread.
    package func drain() { for request in requests.indices { _ = drain(request) } }

    /// Takes all edges that wait; false when the lines are gone.
    private func drain(_ request: Int) -> Bool {
        do throws(GPIOError) {
            while let event = try requests[request].takeEvent() { try take(event, of: request) }
            return true
        } catch {
            lose(request, error)
            return false
        }
    }

    private func take(_ event: GPIOEvent, of request: Int) throws(GPIOError) {
        guard let bit = offsets[request][event.offset] else { return }
        let key = Watches.Key(request: request, bit: bit)
        var (change, contactors) = watches.withLock { watches in
            let change = watches.inputs[key]?.take(event) ?? .none
            return (change, watches.guarded[key] ?? [])
        }
        if change == .gap {
            let level = try requests[request].read(1 << UInt64(bit)) != 0
            watches.withLock { $0.inputs[key]?.read(level: level) }
            change = .active
        }
        guard change == .active, !contactors.isEmpty else { return }
        let opened = contactors.filter { $0.fall() }.map(\.name)
        let reaction = (Self.nanoseconds - event.nanoseconds) / 1000
        guard !opened.isEmpty else { return }
        watches.withLock { $0.reactions.add(reaction) }
        guard let wish = wish(at: key) else { return }
        tell(
            GPIOFall(
                line: wish.name, role: wish.role, opened: opened, reactionMicroseconds: reaction))
    }

    private func wish(at key: Watches.Key) -> GPIOWish? {
        lines.values.first { $0.request == key.request && $0.bit == key.bit }?.wish
    }

    /// The lines of a request cannot be watched any more: whatever they guard opens.
    private func lose(_ request: Int, _ error: GPIOError) {
        let contactors = watches.withLock { watches in
            watches.lost[request] = error
            return watches.guarded.filter { $0.key.request == request }.flatMap(\.value)
        }
        for contactor in contactors { _ = contactor.fall() }
    }

    /// How fast edges opened contactors so far.
    package var reactions: ReactionTimes { watches.withLock { $0.reactions } }

    private static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension [GPIOChip] {
    func line(_ path: String, _ offset: UInt32) -> GPIOChip.Line? {
        first { $0.path == path }?.lines[Int(offset)]
    }
}

/// The last reactions of a board, in microseconds.
package struct ReactionTimes: Hashable, Sendable {
    package private(set) var count = 0
    package private(set) var longest: Int64 = 0
    private var last: [Int64] = []

    package static let kept = 256

    package init() {}

    package mutating func add(_ microseconds: Int64) {
        count += 1
        longest = max(longest, microseconds)
        if last.count == Self.kept { last.removeFirst() }
        last.append(microseconds)
    }

    /// Of the kept ones: 50 for the median, 99 for all but the slowest hundredth.
    package func percentile(_ part: Int) -> Int64? {
        let sorted = last.sorted()
        guard !sorted.isEmpty else { return nil }
        return sorted[min(sorted.count - 1, sorted.count * part / 100)]
    }
}

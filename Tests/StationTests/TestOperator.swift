import Charging
import JSON
import OCPP
import OCPP16
import Service

@testable import Station

/// An operator played by the test: hears everything, answers by a script, asks what it is told to.
final class TestOperator: StationLink {
    typealias Script = @Sendable (StationEvent) -> StationReply?

    private struct Waiter {
        var isMet: @Sendable ([StationEvent]) -> Bool
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var heard: [StationEvent] = []
        var script: Script
        var waiters: [Int: Waiter] = [:]
        var asked: [String: (StationCommand, CheckedContinuation<CommandAnswer?, Never>)] = [:]
        var next = 1
        var isUp = true
        var isHung = false
    }

    private let state: Lock<State>
    /// Events that are answered with an error.
    private let refuses: @Sendable (StationEvent) -> Bool
    private let dialect = OCPP16Dialect()
    private let toStation: AsyncStream<[UInt8]>
    private let writer: AsyncStream<[UInt8]>.Continuation
    let subprotocol = "ocpp1.6"

    convenience init(script: @escaping Script = TestOperator.friendly) {
        self.init(script: script, refuses: { _ in false })
    }

    /// A friendly one that answers these events with an error.
    static func refusing(_ refuses: @escaping @Sendable (StationEvent) -> Bool) -> TestOperator {
        TestOperator(script: friendly, refuses: refuses)
    }

    private init(
        script: @escaping Script, refuses: @escaping @Sendable (StationEvent) -> Bool
    ) {
        self.refuses = refuses
        state = Lock(State(script: script))
        (toStation, writer) = AsyncStream.makeStream()
    }

    /// Says yes to everything; transactions are numbered by their start register.
    static let friendly: Script = { event in
        switch event {
        case .booted: .booted(.accepted, intervalSeconds: 300, now: SystemClock().now)
        case .alive: .alive(now: SystemClock().now)
        case .authorizing: .authorization(AuthorizationInfo(.accepted))
        case .sessionStarted(let start):
            .started(.number(Int(start.meterStart.value)), AuthorizationInfo(.accepted))
        case .sessionStopped: .stopped(nil)
        case .statusChanged, .metered: .noted
        case .maintenance(.certificateRequested): .certificateRequested(isAccepted: true)
        case .maintenance: .noted
        case .data, .foreign: nil
        }
    }

    // MARK: The link's side

    func next() async -> [UInt8]? {
        var iterator = toStation.makeAsyncIterator()
        return await iterator.next()
    }

    func close() async { hangUp() }

    struct HungUp: Error {}

    func send(_ message: [UInt8]) async throws {
        guard state.withLock({ $0.isUp }) else { throw HungUp() }
        // A peer that has stopped reading: the send neither ends nor fails.
        await until { !state.withLock { $0.isHung && $0.isUp } }
        let frame = try Frame(reading: message.span.bytes)
        let payload = Array(message[frame.payload])
        switch frame.kind {
        case .call(let action):
            let event = try dialect.event(action: action, payload: payload.span.bytes).value
            let script = hear(event)
            if refuses(event) {
                let error = CallError(.internalError, "not today")
                writer.yield(Frame.error(frame.id, error, in: dialect.version))
                return
            }
            guard let reply = script(event) else { return }
            writer.yield(Frame.result(frame.id) { dialect.write(reply, to: event, into: &$0) })
        case .result:
            guard
                let (command, waiter) = state.withLock({
                    $0.asked.removeValue(forKey: frame.id.text)
                })
            else { return }
            waiter.resume(
                returning: try dialect.answer(in: payload.span.bytes, to: command).value)
        case .error:
            state.withLock({ $0.asked.removeValue(forKey: frame.id.text) })?.1
                .resume(returning: nil)
        }
    }

    private func hear(_ event: StationEvent) -> Script {
        let (script, met) = state.withLock { state in
            state.heard.append(event)
            let met = state.waiters.filter { $0.value.isMet(state.heard) }
            for id in met.keys { state.waiters[id] = nil }
            return (state.script, met.values)
        }
        for waiter in met { waiter.continuation.resume() }
        return script
    }

    // MARK: The test's side

    var heard: [StationEvent] { state.withLock { $0.heard } }

    /// Sends a text as it is, frame or none.
    func say(_ text: String) { writer.yield(Array(text.utf8)) }

    /// From now on nothing that the station sends gets through.
    func hang() { state.withLock { $0.isHung = true } }

    func hangUp() {
        let asked = state.withLock { state in
            state.isUp = false
            defer { state.asked = [:] }
            return state.asked.values.map(\.1)
        }
        for waiter in asked { waiter.resume(returning: nil) }
        writer.finish()
    }

    /// Waits until what was heard is enough, or the test's time is over.
    func hears(_ isMet: @escaping @Sendable ([StationEvent]) -> Bool) async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || isMet(state.heard) { return true }
                    state.waiters[id] = Waiter(isMet: isMet, continuation: continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    func hears(status: ConnectorStatus) async {
        await hears {
            $0.contains {
                if case .statusChanged(let report) = $0 {
                    report.connector == 1 && report.status == status
                } else {
                    false
                }
            }
        }
    }

    /// The station's answer; nil for an error, a closed link or a test whose time is over.
    func ask(_ command: StationCommand) async throws -> CommandAnswer? {
        let request = try dialect.request(for: command)
        let id = state.withLock { state in
            state.next += 1
            return "test-\(state.next)"
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.asked[id] = (command, continuation)
                    return false
                }
                if isOver { return continuation.resume(returning: nil) }
                writer.yield(Frame.call(MessageID(id), request))
            }
        } onCancel: {
            state.withLock { $0.asked.removeValue(forKey: id) }?.1.resume(returning: nil)
        }
    }
}

extension [StationEvent] {
    var starts: [SessionStart] {
        compactMap { if case .sessionStarted(let start) = $0 { start } else { nil } }
    }
    var stops: [SessionStop] {
        compactMap { if case .sessionStopped(let stop) = $0 { stop } else { nil } }
    }
    var reports: [MeterReport] {
        compactMap { if case .metered(let report) = $0 { report } else { nil } }
    }
    var statuses: [ConnectorStatus] {
        compactMap {
            if case .statusChanged(let report) = $0, report.connector == 1 {
                report.status
            } else {
                nil
            }
        }
    }
    var boots: Int { count { if case .booted = $0 { true } else { false } } }
}

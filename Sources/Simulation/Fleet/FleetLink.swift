import Charging
import JSON
import Service
import Web

/// One station's connection: its calls one by one, the operator's calls answered in between.
final class FleetLink: Sendable {
    private struct Waiting: Sendable {
        var id: String
        var continuation: CheckedContinuation<JSONValue?, Never>
    }

    private struct State: Sendable {
        var waiting: Waiting?
        var isOver = false
        var number = 0
    }

    private let client: WebSocketClient
    private let fleet: Fleet
    private let state = Lock(State())
    private let clock = SystemClock()

    init(_ client: WebSocketClient, fleet: Fleet) {
        self.client = client
        self.fleet = fleet
    }

    /// Plays the station's script until the line is lost or the task cancelled.
    func play(_ station: FleetStation) async -> FleetStation {
        await withTaskGroup(of: FleetStation?.self) { group in
            group.addTask { [self] in
                await listen()
                return nil
            }
            group.addTask { [self] in await act(station) }
            var last = station
            // The first to end takes the other along: the script gives the station back.
            while let ended = await group.next() {
                if let ended { last = ended }
                await client.close()
                group.cancelAll()
            }
            return last
        }
    }

    private func act(_ first: FleetStation) async -> FleetStation {
        var station = first
        while !Task.isCancelled {
            let call = station.call(at: clock.now)
            guard let answer = await ask(call) else { break }
            let sessions = station.sessions
            _ = station.take(answer)
            if station.sessions > sessions { fleet.count { $0.sessions += 1 } }
            do { try await clock.sleep(milliseconds: fleet.strideMilliseconds) } catch { break }
        }
        return station
    }

    /// nil when no answer came: time, an error, or a lost line.
    private func ask(_ call: FleetStation.Call) async -> JSONValue? {
        let id = state.withLock { state in
            state.number += 1
            return "\(state.number)"
        }
        let frame: JSONValue = [2, .string(id), .string(call.action), call.payload]
        fleet.count { $0.calls += 1 }
        let start = ContinuousClock.now
        let timeout = Task { [self, clock] in
            // Cancelled as soon as the answer is there.
            try await clock.sleep(milliseconds: Fleet.answerMilliseconds)
            settle(id, nil)
        }
        defer { timeout.cancel() }
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.isOver { state.waiting = Waiting(id: id, continuation: continuation) }
                    return state.isOver
                }
                if isOver { return continuation.resume(returning: nil) }
                // The cancellation may have come before there was anything to settle.
                if Task.isCancelled { return settle(id, nil) }
                Task { [self] in
                    do { try await client.send(frame.encoded()) } catch { settle(id, nil) }
                }
            }
        } onCancel: {
            settle(id, nil)
        }
        let took = ContinuousClock.now - start
        let microseconds =
            took.components.seconds * 1_000_000 + took.components.attoseconds / 1_000_000_000_000
        fleet.count { report in
            if answer == nil {
                report.unanswered += 1
            } else {
                report.answers += 1
                report.latency.add(microseconds: microseconds)
            }
        }
        return answer
    }

    private func settle(_ id: String?, _ answer: JSONValue?) {
        let waiting = state.withLock { state -> Waiting? in
            guard let waiting = state.waiting, id == nil || waiting.id == id else { return nil }
            state.waiting = nil
            return waiting
        }
        waiting?.continuation.resume(returning: answer)
    }

    private func listen() async {
        while let message = await client.messages.next() {
            // A peer that sends no JSON is not answered: the fleet is no judge of its operator.
            guard let frame = try? JSONValue(parsing: message), let type = frame[0]?.int,
                let id = frame[1]?.string
            else { continue }
            switch type {
            case 2: await answer(id, frame[2]?.string ?? "")
            case 3: settle(id, frame[2])
            case 4:
                fleet.count { $0.errors += 1 }
                settle(id, nil)
            default: continue
            }
        }
        state.withLock { $0.isOver = true }
        settle(nil, nil)
    }

    private func answer(_ id: String, _ action: String) async {
        let frame: JSONValue =
            if let answer = FleetStation.answer(to: action) {
                [3, .string(id), answer]
            } else {
                [4, .string(id), "NotImplemented", "", [:]]
            }
        // A line that is gone is noticed by the reader.
        try? await client.send(frame.encoded())
        fleet.count { $0.commands += 1 }
    }
}

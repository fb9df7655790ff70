import Service

@testable import Alerts

/// A channel that a test lets fail.
final class TestChannel: AlertChannel {
    let name: String
    let mostAtOnce: Int
    private let state = Lock((told: [[AlertMessage]](), more: [Int](), isDown: false))

    init(_ name: String = "test", mostAtOnce: Int = 50) {
        self.name = name
        self.mostAtOnce = mostAtOnce
    }

    var told: [[String]] {
        state.withLock {
            $0.told.map { $0.map { "\($0.what) \($0.alert.kind) \($0.alert.subject)" } }
        }
    }

    /// Beside each letter's lines.
    var more: [Int] { state.withLock { $0.more } }

    func set(down: Bool) { state.withLock { $0.isDown = down } }

    func tell(_ messages: [AlertMessage], more: Int) async throws(AlertChannelError) {
        let isDown = state.withLock { state in
            if !state.isDown {
                state.told.append(messages)
                state.more.append(more)
            }
            return state.isDown
        }
        if isDown { throw AlertChannelError("down") }
    }
}

import Service

/// What came in, in order, and those who wait for something in particular.
package final class Mailbox<Element: Sendable>: Sendable {
    /// Nothing that fits came in time.
    package struct TimedOut: Error, Sendable, CustomStringConvertible {
        package let what: String
        package var description: String { "\(what) did not come in time" }
    }

    /// The oldest are dropped beyond this.
    package static var limit: Int { 5_000 }

    private struct Waiter {
        let id: Int
        let fits: @Sendable (Element) -> Bool
        let continuation: CheckedContinuation<Element?, Never>
    }

    private struct State {
        var elements: [Element] = []
        var waiters: [Waiter] = []
        var nextID = 0
    }

    private let state = Lock(State())

    package init() {}

    package func put(_ element: Element) {
        let woken = state.withLock { state -> [Waiter] in
            state.elements.append(element)
            if state.elements.count > Self.limit { state.elements.removeFirst() }
            let woken = state.waiters.filter { $0.fits(element) }
            state.waiters.removeAll { $0.fits(element) }
            return woken
        }
        for waiter in woken { waiter.continuation.resume(returning: element) }
    }

    package var all: [Element] { state.withLock { $0.elements } }

    /// The last one that fits, come or yet to come.
    package func wait(
        for what: String, seconds: Int, where fits: @escaping @Sendable (Element) -> Bool
    ) async throws(TimedOut) -> Element {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let deadline = Task {
            // A cancelled sleep means the element came first.
            guard (try? await Task.sleep(for: .seconds(seconds))) != nil else { return }
            expire(id)
        }
        defer { deadline.cancel() }
        let found = await withCheckedContinuation { continuation in
            let present = state.withLock { state -> Element? in
                if let element = state.elements.last(where: fits) { return element }
                state.waiters.append(Waiter(id: id, fits: fits, continuation: continuation))
                return nil
            }
            if let present { continuation.resume(returning: present) }
        }
        guard let found else { throw TimedOut(what: what) }
        return found
    }

    private func expire(_ id: Int) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: index)
        }
        waiter?.continuation.resume(returning: nil)
    }
}

/// The calls one side sends over one connection: at most one under way, the others wait.
///
/// A pure value: inputs and times go in, effects come out. It owns the only timeout of a call. An
/// answer is matched by its id alone; a late or unknown one changes nothing. `Tag` is the owner's
/// name for a call, for instance a command's row. OCPP-J 1.6 §4.1.1, OCPP 2.0.1 part 4 §4.1.2.
package struct CallQueue<Tag: Hashable & Sendable>: Sendable {
    /// Higher ones overtake lower ones; equals keep their order. A transaction message lets
    /// `mostOvertaking` pass at most.
    package enum Priority: Int, Hashable, Sendable, Comparable {
        case background, ordinary, transaction, urgent

        package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// What becomes of a call whose connection is gone before its answer came.
    package enum WhenLinkIsLost: Hashable, Sendable {
        /// Starts, resets and unlocks: acting twice would be worse than not at all.
        case fail
        /// Settings and transaction messages: sent again on the next connection.
        case keep
    }

    package struct Call: Hashable, Sendable {
        package var tag: Tag
        /// Fresh for every sending; the owner makes it.
        package var id: MessageID
        package var request: CallRequest
        package var priority: Priority
        /// How long the answer may take once the call is sent.
        package var answerMilliseconds: Int64
        /// When waiting is over, sent or not; nil waits for ever.
        package var deadline: Int64?
        /// A waiting call with the same key is replaced by a newer one.
        package var sameAs: String?
        package var whenLinkIsLost: WhenLinkIsLost

        package init(
            tag: Tag, id: MessageID, request: CallRequest, priority: Priority = .ordinary,
            answerMilliseconds: Int64 = 30_000, deadline: Int64? = nil, sameAs: String? = nil,
            whenLinkIsLost: WhenLinkIsLost = .fail
        ) {
            self.tag = tag
            self.id = id
            self.request = request
            self.priority = priority
            self.answerMilliseconds = answerMilliseconds
            self.deadline = deadline
            self.sameAs = sameAs
            self.whenLinkIsLost = whenLinkIsLost
        }
    }

    package enum Input: Hashable, Sendable {
        case enqueue(Call)
        case cancel(Tag)
        /// A connection that may carry calls is there.
        case linkIsUp
        case linkIsDown
        case result(MessageID, payload: [UInt8])
        case error(MessageID, CallError)
        /// Time has passed; see `nextDeadline`.
        case tick
    }

    package enum Outcome: Hashable, Sendable {
        case answered(payload: [UInt8])
        case refused(CallError)
        /// Sent, and no answer in time: the effect is open.
        case timedOut
        /// Never sent before its deadline: there is no effect.
        case expired
        /// The connection went while the answer was awaited: the effect is open.
        case linkLost
        case cancelled(wasSent: Bool)
        /// A newer call with the same key took its place.
        case replaced
        /// The queue is at its limit; nothing was kept.
        case queueFull
    }

    package enum Effect: Hashable, Sendable {
        /// Write it now; the time of its answer is running.
        case send(Call)
        case settled(Call, Outcome)
        /// An answer nobody waits for: count it, drop it.
        case stray(MessageID)
    }

    private var waiting: [Call] = []
    private var underWay: (call: Call, answerBy: Int64)?
    private var isUp = false
    /// Urgent calls in a row that a transaction message has let pass.
    private var overtaken = 0
    private let limit: Int

    /// Then it is its turn, however many are urgent: what is owed must arrive some time.
    package static var mostOvertaking: Int { 3 }

    package init(limit: Int = OCPPLimits.queuedCalls) { self.limit = limit }

    /// Calls waiting or under way.
    package var count: Int { waiting.count + (underWay == nil ? 0 : 1) }

    package var current: Call? { underWay?.call }

    /// When `tick` has something to do next; milliseconds of the same clock as `at:`.
    package var nextDeadline: Int64? {
        var next = underWay?.answerBy
        for call in waiting {
            guard let deadline = call.deadline else { continue }
            next = min(next ?? deadline, deadline)
        }
        return next
    }

    /// - Parameter now: milliseconds of a clock that never steps back.
    package mutating func handle(_ input: Input, at now: Int64) -> [Effect] {
        var effects: [Effect] = []
        switch input {
        case .enqueue(let call): enqueue(call, &effects)
        case .cancel(let tag): cancel(tag, &effects)
        case .linkIsUp: isUp = true
        case .linkIsDown: linkIsDown(&effects)
        case .result(let id, let payload): settle(id, .answered(payload: payload), &effects)
        case .error(let id, let error): settle(id, .refused(error), &effects)
        case .tick: break
        }
        expire(now, &effects)
        sendNext(now, &effects)
        return effects
    }

    private mutating func enqueue(_ call: Call, _ effects: inout [Effect]) {
        if let key = call.sameAs, let at = waiting.firstIndex(where: { $0.sameAs == key }) {
            effects.append(.settled(waiting[at], .replaced))
            // The newer call keeps the older one's place: asking twice must not postpone.
            if waiting[at].priority == call.priority {
                waiting[at] = call
                return
            }
            waiting.remove(at: at)
        }
        guard count < limit else {
            effects.append(.settled(call, .queueFull))
            return
        }
        let place = waiting.firstIndex { $0.priority < call.priority } ?? waiting.endIndex
        waiting.insert(call, at: place)
    }

    private mutating func cancel(_ tag: Tag, _ effects: inout [Effect]) {
        for call in waiting where call.tag == tag {
            effects.append(.settled(call, .cancelled(wasSent: false)))
        }
        waiting.removeAll { $0.tag == tag }
        // One that is sent keeps its slot until its answer or its timeout: the station may be at it.
    }

    private mutating func linkIsDown(_ effects: inout [Effect]) {
        isUp = false
        if let (call, _) = underWay {
            underWay = nil
            switch call.whenLinkIsLost {
            case .fail: effects.append(.settled(call, .linkLost))
            case .keep:
                let place = waiting.firstIndex { $0.priority <= call.priority }
                waiting.insert(call, at: place ?? waiting.endIndex)
            }
        }
        for call in waiting where call.whenLinkIsLost == .fail {
            effects.append(.settled(call, .cancelled(wasSent: false)))
        }
        waiting.removeAll { $0.whenLinkIsLost == .fail }
    }

    private mutating func settle(
        _ id: MessageID, _ outcome: Outcome, _ effects: inout [Effect]
    ) {
        guard let (call, _) = underWay, call.id.text == id.text else {
            effects.append(.stray(id))
            return
        }
        underWay = nil
        effects.append(.settled(call, outcome))
    }

    private mutating func expire(_ now: Int64, _ effects: inout [Effect]) {
        if let (call, answerBy) = underWay, now >= answerBy {
            underWay = nil
            effects.append(.settled(call, .timedOut))
        }
        guard waiting.contains(where: { ($0.deadline ?? .max) <= now }) else { return }
        for call in waiting where (call.deadline ?? .max) <= now {
            effects.append(.settled(call, .expired))
        }
        waiting.removeAll { ($0.deadline ?? .max) <= now }
    }

    private mutating func sendNext(_ now: Int64, _ effects: inout [Effect]) {
        guard isUp, underWay == nil, !waiting.isEmpty else { return }
        let owed = waiting.firstIndex { $0.priority == .transaction }
        let isPatient = owed == nil || overtaken < Self.mostOvertaking
        let call = waiting.remove(at: isPatient ? 0 : owed ?? 0)
        overtaken = owed != nil && call.priority > .transaction ? overtaken + 1 : 0
        underWay = (call, now + call.answerMilliseconds)
        effects.append(.send(call))
    }
}

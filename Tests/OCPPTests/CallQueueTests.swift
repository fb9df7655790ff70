import Testing

@testable import OCPP

@Suite struct `A call queue` {
    typealias Queue = CallQueue<Int>

    private func call(
        _ tag: Int, _ priority: Queue.Priority = .ordinary, deadline: Int64? = nil,
        sameAs: String? = nil, whenLost: Queue.WhenLinkIsLost = .fail
    ) -> Queue.Call {
        Queue.Call(
            tag: tag, id: MessageID("m\(tag)"), request: CallRequest(action: "Reset", payload: []),
            priority: priority, answerMilliseconds: 1000, deadline: deadline, sameAs: sameAs,
            whenLinkIsLost: whenLost)
    }

    private func linked() -> Queue {
        var queue = Queue(limit: 4)
        _ = queue.handle(.linkIsUp, at: 0)
        return queue
    }

    @Test func `sends one call and holds the next until the answer`() {
        var queue = linked()
        #expect(queue.handle(.enqueue(call(1)), at: 0) == [.send(call(1))])
        #expect(queue.handle(.enqueue(call(2)), at: 0) == [])
        #expect(
            queue.handle(.result(MessageID("m1"), payload: [7]), at: 5)
                == [.settled(call(1), .answered(payload: [7])), .send(call(2))])
    }

    @Test func `drops a late answer without ending the call under way`() {
        var queue = linked()
        _ = queue.handle(.enqueue(call(1)), at: 0)
        _ = queue.handle(.enqueue(call(2)), at: 0)
        #expect(queue.nextDeadline == 1000)
        #expect(
            queue.handle(.tick, at: 1000) == [.settled(call(1), .timedOut), .send(call(2))])
        #expect(
            queue.handle(.result(MessageID("m1"), payload: []), at: 1001)
                == [.stray(MessageID("m1"))])
        #expect(queue.current?.tag == 2)
    }

    @Test func `lets no more than three urgent calls pass what is owed`() {
        var queue = Queue(limit: 20)
        _ = queue.handle(.linkIsUp, at: 0)
        _ = queue.handle(.enqueue(call(0, .urgent)), at: 0)
        _ = queue.handle(.enqueue(call(100, .transaction)), at: 0)
        _ = queue.handle(.enqueue(call(101, .transaction)), at: 0)
        for tag in 1...8 { _ = queue.handle(.enqueue(call(tag, .urgent)), at: 0) }
        var order = [0]
        while let last = order.last {
            let sent = queue.handle(.result(MessageID("m\(last)"), payload: []), at: 1)
                .compactMap { if case .send(let next) = $0 { next.tag } else { nil } }
            guard let next = sent.first else { break }
            order.append(next)
        }
        #expect(order == [0, 1, 2, 3, 100, 4, 5, 6, 101, 7, 8])
    }

    @Test func `lets a more urgent call overtake and keeps equals in order`() {
        var queue = linked()
        _ = queue.handle(.enqueue(call(1)), at: 0)
        _ = queue.handle(.enqueue(call(2)), at: 0)
        _ = queue.handle(.enqueue(call(3, .urgent)), at: 0)
        _ = queue.handle(.enqueue(call(4, .urgent)), at: 0)
        var order: [Int] = []
        for tag in [1, 3, 4, 2] {
            for case .send(let next) in queue.handle(
                .result(MessageID("m\(tag)"), payload: []), at: 1)
            { order.append(next.tag) }
        }
        #expect(order == [3, 4, 2])
    }

    @Test func `refuses a call beyond its limit and says so`() {
        var queue = linked()
        for tag in 1...4 { _ = queue.handle(.enqueue(call(tag)), at: 0) }
        #expect(queue.handle(.enqueue(call(5)), at: 0) == [.settled(call(5), .queueFull)])
        #expect(queue.count == 4)
    }

    @Test func `replaces a waiting call of the same kind in its place`() {
        var queue = linked()
        _ = queue.handle(.enqueue(call(1)), at: 0)
        _ = queue.handle(.enqueue(call(2, sameAs: "status 1")), at: 0)
        _ = queue.handle(.enqueue(call(3)), at: 0)
        #expect(
            queue.handle(.enqueue(call(4, sameAs: "status 1")), at: 0)
                == [.settled(call(2, sameAs: "status 1"), .replaced)])
        #expect(
            queue.handle(.result(MessageID("m1"), payload: []), at: 1).last
                == .send(call(4, sameAs: "status 1")))
    }

    @Test func `fails a start and keeps a setting when the link is lost`() {
        var queue = linked()
        _ = queue.handle(.enqueue(call(1, whenLost: .keep)), at: 0)
        _ = queue.handle(.enqueue(call(2)), at: 0)
        #expect(
            queue.handle(.linkIsDown, at: 1) == [.settled(call(2), .cancelled(wasSent: false))])
        #expect(queue.handle(.linkIsUp, at: 2) == [.send(call(1, whenLost: .keep))])
        #expect(queue.handle(.enqueue(call(3)), at: 3) == [])
        _ = queue.handle(.result(MessageID("m1"), payload: []), at: 4)
        #expect(queue.handle(.linkIsDown, at: 5) == [.settled(call(3), .linkLost)])
    }

    @Test func `expires a call that was never sent by its deadline`() {
        var queue = Queue()
        _ = queue.handle(.enqueue(call(1, deadline: 50)), at: 0)
        #expect(queue.nextDeadline == 50)
        #expect(
            queue.handle(.linkIsUp, at: 60) == [.settled(call(1, deadline: 50), .expired)])
    }

    @Test func `cancels only what is not sent yet`() {
        var queue = linked()
        _ = queue.handle(.enqueue(call(1)), at: 0)
        _ = queue.handle(.enqueue(call(2)), at: 0)
        #expect(queue.handle(.cancel(1), at: 0) == [])
        #expect(
            queue.handle(.cancel(2), at: 0) == [.settled(call(2), .cancelled(wasSent: false))])
        #expect(queue.current?.tag == 1)
    }
}

@Suite struct `A reply cache` {
    private let id = MessageID("a")

    @Test func `gives a repeated message the same bytes`() {
        var cache = ReplyCache()
        #expect(cache.find(id, fingerprint: 1) == .new)
        cache.remember(id, fingerprint: 1, reply: [1, 2])
        #expect(cache.find(id, fingerprint: 1) == .repeated([1, 2]))
    }

    @Test func `takes the same id with another payload for a new message`() {
        var cache = ReplyCache()
        cache.remember(id, fingerprint: 1, reply: [1])
        #expect(cache.find(id, fingerprint: 2) == .reused)
    }

    @Test func `forgets the oldest beyond its limits`() {
        var cache = ReplyCache()
        for number in 0...OCPPLimits.rememberedReplies {
            cache.remember(MessageID("\(number)"), fingerprint: number, reply: [0])
        }
        #expect(cache.find(MessageID("0"), fingerprint: 0) == .new)
        #expect(cache.find(MessageID("1"), fingerprint: 1) == .repeated([0]))
        cache.remember(
            id, fingerprint: 1,
            reply: [UInt8](repeating: 0, count: OCPPLimits.rememberedReplyBytes))
        #expect(cache.find(MessageID("1"), fingerprint: 1) == .new)
    }
}

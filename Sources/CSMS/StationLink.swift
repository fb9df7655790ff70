import CPO
import Charging
import Crypto
import JSON
import OCPP
import Service
import Web

/// One station's socket: its calls are answered strictly in order, ours go out one at a time, and
/// neither direction ever waits for the other. OCPP-J 1.6 §4.1.1.
// @unchecked: everything mutable is touched on the connection's shard only.
final class StationLink: WebSocketSession, @unchecked Sendable {
    /// A station's call that waits for its turn, read already.
    struct Inbound {
        enum Content {
            case event(Decoded<StationEvent>)
            case refused(CallError)
        }

        let id: MessageID
        let fingerprint: Int
        let action: String
        let content: Content
        /// A copy of the message for the log.
        let message: [UInt8]
        let receivedAt: Timestamp
        let startedAt: Int64

        /// It changes nothing here, however often it comes.
        var isQuestion: Bool {
            guard case .event(let event) = content else { return false }
            switch event.value {
            case .alive, .authorizing: return true
            default: return false
            }
        }

        var isBoot: Bool {
            if case .event(let event) = content, case .booted = event.value { true } else { false }
        }
    }

    let epoch: Int64
    let connection: WebSocketConnection
    let dialect: any Dialect
    let granted: Admission.Granted
    let center: CentralSystem
    /// The registry's spelling, once the station is admitted.
    private(set) var station: String
    var registration = RegistrationStatus.pending
    /// It was admitted into the inbox, and nobody took it in by what it proves itself by since. Not what
    /// its boot is answered with: that follows the row, whoever asks.
    private(set) var wasPending = true
    /// The number of this socket in the registry's row; nil until it is written there.
    private var durableEpoch: Int64?
    var inbox: [Inbound] = []
    var isWorking = true
    /// Its id is not, or no longer, in the registry: nothing it says counts.
    var isTurnedAway = false
    /// Too many messages wait here, or came in too short a time: either stops the reading.
    var inboxIsFull = false
    private var isThrottled = false
    private(set) var isReading = true
    private var bucket: TokenBucket
    var isClosed = false
    private var unreadableInARow = 0
    var replies = ReplyCache()
    /// A status came over this socket, so nobody has to ask for one.
    var toldStatus = false
    var outbound = OutboundCalls()
    private(set) var isStrict: Bool
    private var zone: StationZone?

    init(
        connection: WebSocketConnection, dialect: any Dialect, granted: Admission.Granted,
        center: CentralSystem
    ) {
        self.connection = connection
        self.dialect = dialect
        self.granted = granted
        self.center = center
        station = granted.station
        isStrict = granted.isStrict
        zone = center.zones[granted.timeZone]
        epoch = center.links.nextEpoch()
        bucket = TokenBucket(
            perSecond: center.settings.messagesPerSecond, burst: center.settings.messageBurst,
            at: center.house.clock.monotonicMilliseconds)
    }

    // MARK: The socket

    func opened(on shard: isolated Shard) {
        let old = center.links.attach(
            station, self, epoch: epoch, address: connection.remoteAddress,
            at: center.house.clock.now)
        if let old, old !== self {
            // Nobody waits for that close; a late one takes nothing from the new socket.
            Task { await old.replaced() }
        }
        Task {
            await admit(on: shard)
            await work(on: shard)
        }
    }

    func closed(_ closure: WebSocketClosure, on shard: isolated Shard) {
        isClosed = true
        center.links.detach(station, epoch: epoch)
        linkLost(on: shard)
        center.house.log.debug("socket closed", ["station": station, "code": closure.code])
        guard let durableEpoch else { return }
        Task { await center.detached(station, durableEpoch) }
    }

    /// A newer socket of the same station took over.
    private func replaced() async { await connection.close(4001, reason: "replaced") }

    /// Closes from anywhere, for instance when the station is taken out of the registry.
    func close(_ code: Int, reason: String) async { await connection.close(code, reason: reason) }

    /// The operator's switches count for the socket that is open as well.
    func setReading(_ access: StationAccess) async {
        await setReading(access, on: connection.shard)
    }

    private func setReading(_ access: StationAccess, on shard: isolated Shard) {
        isStrict = access.isStrict
        zone = center.zones[access.timeZone]
    }

    /// The operator took the station in while it was connected: it is asked to boot again, unless it
    /// was accepted already.
    func adopted(_ access: StationAccess) async { await adopted(access, on: connection.shard) }

    private func adopted(_ access: StationAccess, on shard: isolated Shard) {
        // One whose admission is under way reads its registration there.
        guard durableEpoch != nil, wasPending, keepsStanding(access, on: shard) else { return }
        wasPending = false
        guard registration != .accepted else { return }
        // Whether it obeys or not, its next boot is accepted.
        tell(.trigger(message: "BootNotification", connector: nil), on: shard)
    }

    /// The station's password was set by somebody: who waits in the inbox with another one is not the
    /// station. Of one that was taken in the socket stays.
    func accessChanged(_ access: StationAccess) async {
        await accessChanged(access, on: connection.shard)
    }

    private func accessChanged(_ access: StationAccess, on shard: isolated Shard) {
        guard wasPending else { return }
        _ = keepsStanding(access, on: shard)
    }

    /// Turns it away where what it proved itself by counts no more.
    func keepsStanding(_ access: StationAccess, on shard: isolated Shard) -> Bool {
        guard !granted.stands(in: access, at: center.house.clock.now) else { return true }
        turnAway(1008, "the password is another one now", on: shard)
        return false
    }

    private func admit(on shard: isolated Shard) async {
        switch await center.admit(self) {
        case .admitted(let record, let number):
            station = record.id
            registration = record.registration
            wasPending = record.registration == .pending
            durableEpoch = number
            if isClosed {
                await center.detached(station, number)
            } else {
                linkIsUp(on: shard)
            }
        case .replaced: connection.close(4001, reason: "replaced", on: shard)
        case .refused: turnAway(1008, "not registered", on: shard)
        case .failed: turnAway(1011, "try again later", on: shard)
        }
    }

    /// What it sent before the word on it came is nobody's: not a charge, not a question.
    private func turnAway(_ code: Int, _ reason: String, on shard: isolated Shard) {
        isTurnedAway = true
        connection.close(code, reason: reason, on: shard)
    }

    // MARK: Frames in

    func received(_ message: RawSpan, isText: Bool, on shard: isolated Shard) {
        throttle(on: shard)
        receive(message, isText: isText, Deviations(), on: shard)
    }

    /// Does not read a station for a while that sends faster than it may.
    private func throttle(on shard: isolated Shard) {
        let clock = center.house.clock
        let wait = bucket.take(at: clock.monotonicMilliseconds)
        guard wait > 0, !isThrottled else { return }
        isThrottled = true
        readIfAllowed(on: shard)
        center.log.count(Deviations(.tooManyMessages), of: station, at: clock.now)
        Task {
            // Nothing cancels it; it ends with the wait, whether the socket is there then or not.
            try? await clock.sleep(milliseconds: wait)
            _ = shard
            isThrottled = false
            readIfAllowed(on: shard)
        }
    }

    func readIfAllowed(on shard: isolated Shard) {
        let mayRead = !inboxIsFull && !isThrottled
        guard mayRead != isReading else { return }
        isReading = mayRead
        connection.allowReading(mayRead, on: shard)
    }

    private func receive(
        _ message: RawSpan, isText: Bool, _ forgiven: Deviations, on shard: isolated Shard
    ) {
        let now = center.house.clock.now
        do throws(FrameError) {
            var frame = try Frame(reading: message)
            unreadableInARow = 0
            frame.deviations.formUnion(forgiven)
            if !isText { frame.deviations.insert(.binaryFrame) }
            guard !isStrict || !frame.deviations.isOfNoTextFrame else {
                return dropped(frame.deviations, message, now)
            }
            switch frame.kind {
            case .call(let action): call(action, frame, message, now, on: shard)
            case .result:
                center.log.count(frame.deviations, of: station, at: now)
                let payload = message.extracting(frame.payload).withUnsafeBytes { Array($0) }
                answered(.result(frame.id, payload: payload), frame.id, message, on: shard)
            case .error(let error):
                center.log.count(frame.deviations, of: station, at: now)
                answered(.error(frame.id, error), frame.id, message, on: shard)
            }
        } catch {
            guard !mended(message, isText: isText, forgiven, on: shard) else { return }
            unreadable(error, message, now, on: shard)
        }
    }

    /// A strict station's message that is no text, or has more around it than JSON: as if it never came.
    private func dropped(_ deviations: Deviations, _ message: RawSpan, _ now: Timestamp) {
        center.log.count(deviations, of: station, at: now)
        center.log.add(
            MessageLog.Line(
                station: station, at: now, isInbound: true, action: "", messageID: "",
                request: message.withUnsafeBytes { Array($0) }, note: "dropped: no plain text"))
    }

    /// No reader takes U+0000, and a tag padded with it must still end its charge: what could not be
    /// read is read once more without it.
    private func mended(
        _ message: RawSpan, isText: Bool, _ forgiven: Deviations, on shard: isolated Shard
    ) -> Bool {
        guard !forgiven.contains(.nulCharacter), let bytes = NULEscapes.removed(from: message)
        else { return false }
        receive(bytes.span.bytes, isText: isText, Deviations(.nulCharacter), on: shard)
        return true
    }

    private func call(
        _ action: String, _ frame: Frame, _ message: RawSpan, _ now: Timestamp,
        on shard: isolated Shard
    ) {
        let fingerprint = ReplyCache.fingerprint(of: message)
        var content: Inbound.Content
        // Of what is refused: the rest is counted with its answer.
        var seen = frame.deviations
        do throws(CallError) {
            var event = try dialect.event(
                action: action, payload: message.extracting(frame.payload))
            event.deviations.formUnion(frame.deviations)
            if isStrict, let code = event.deviations.strictCode {
                seen = event.deviations
                throw CallError(code, "the message departs from the specification")
            }
            if event.deviations.contains(.timestampWithoutZone), let zone {
                event.value = zone.applied(to: event.value)
            }
            content = .event(event)
            if case .alive = event.value, !isWorking, registration == .accepted,
                replies.find(frame.id, fingerprint: fingerprint) == .new
            {
                beat(event, frame.id, fingerprint, message, now, on: shard)
                return
            }
        } catch {
            let isText = !frame.deviations.contains(.binaryFrame)
            guard !mended(message, isText: isText, frame.deviations, on: shard) else { return }
            center.log.count(seen, of: station, at: now)
            content = .refused(error)
        }
        inbox.append(
            Inbound(
                id: frame.id, fingerprint: fingerprint, action: action, content: content,
                message: message.withUnsafeBytes { Array($0) }, receivedAt: now,
                startedAt: center.house.clock.monotonicMilliseconds))
        if inbox.count >= center.settings.waitingMessages {
            inboxIsFull = true
            readIfAllowed(on: shard)
        }
        guard !isWorking else { return }
        isWorking = true
        Task { await work(on: shard) }
    }

    /// A heartbeat touches nothing that must be durable: answered here and now.
    private func beat(
        _ event: Decoded<StationEvent>, _ id: MessageID, _ fingerprint: Int, _ message: RawSpan,
        _ now: Timestamp, on shard: isolated Shard
    ) {
        let answer = Frame.result(id) { dialect.write(.alive(now: now), to: .alive, into: &$0) }
        connection.send(answer, on: shard)
        replies.remember(id, fingerprint: fingerprint, reply: answer)
        center.log.count(event.deviations, of: station, at: now)
        guard center.settings.logsHeartbeats else { return }
        center.log.add(
            MessageLog.Line(
                station: station, at: now, isInbound: true, action: "Heartbeat",
                messageID: id.text, request: message.withUnsafeBytes { Array($0) },
                answer: answer, tookMilliseconds: 0))
    }

    private func unreadable(
        _ error: FrameError, _ message: RawSpan, _ now: Timestamp, on shard: isolated Shard
    ) {
        var answer: [UInt8]?
        var note = "not a frame"
        var kind = Deviation.brokenJSON
        switch error {
        case .answerable(let id, let problem):
            // Out of turn on purpose: nothing of it can be ordered against other calls.
            answer = Frame.error(id, problem, in: dialect.version)
            note = problem.description
        case .unreadable(let why):
            note = why
            if dialect.version != .v16 {
                answer = Frame.error(
                    .unreadable, CallError(.frameworkError, why), in: dialect.version)
            }
        case .unknownType(_, let id):
            note = "unknown message type"
            kind = .messageTypeUnknown
            if dialect.version != .v16 {
                answer = Frame.error(
                    id ?? .unreadable, CallError(.messageTypeNotSupported, note),
                    in: dialect.version)
            }
        }
        if let answer { connection.send(answer, on: shard) }
        center.log.count(Deviations(kind), of: station, at: now)
        center.log.add(
            MessageLog.Line(
                station: station, at: now, isInbound: true, action: "", messageID: "",
                request: message.withUnsafeBytes { Array($0) }, answer: answer, note: note))
        unreadableInARow += 1
        if unreadableInARow >= center.settings.unreadableInARow {
            connection.close(1002, reason: "no OCPP", on: shard)
        }
    }
}

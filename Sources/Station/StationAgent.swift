import Charging
import JSON
import OCPP
import Service

/// The station's side of OCPP: tells the operator what happened, does what the operator asks.
///
/// Nothing of it is needed for a charge to be safe: connectors go on while it waits, retries or
/// sleeps.
package actor StationAgent {
    package struct Configuration: Sendable {
        package var stationID: String
        package var identity: StationIdentity
        package var dialect: any Dialect
        /// Opens a link that offers these subprotocols.
        package var connect: @Sendable ([String]) async throws -> any StationLink
        /// Ends the program so that its supervisor starts it again.
        package var restart: @Sendable (ResetKind) async -> Void
        /// Looks after firmware, logs, security events and certificates; nil: none of it is offered.
        package var upkeep: StationUpkeep?
        /// Hears the operator's time; answers by how many milliseconds the board's was wrong.
        package var correctClock: @Sendable (Timestamp) -> Int64? = { _ in nil }
        /// Keeps the operator's charging profiles; nil where nothing is limited by them.
        package var smartCharging: SmartCharging?
        /// Between tries to connect; random within, doubling. OCPP 2.0.1 part 4 §5.3, used on 1.6.
        package var backoff = Backoff(firstMilliseconds: 2_000, longestMilliseconds: 300_000)
        /// A call that is not answered within this is taken for lost.
        package var answerMilliseconds: Int64 = 30_000
        /// A reset that has not ended the program within this is tried again.
        package var resetWaitMilliseconds: Int64 = 10_000

        package init(
            stationID: String, identity: StationIdentity, dialect: any Dialect,
            connect: @escaping @Sendable ([String]) async throws -> any StationLink,
            restart: @escaping @Sendable (ResetKind) async -> Void
        ) {
            self.stationID = stationID
            self.identity = identity
            self.dialect = dialect
            self.connect = connect
            self.restart = restart
        }
    }

    let configuration: Configuration
    let connectors: [ConnectorController]
    let journal: BoardJournal
    let settings: StationSettings
    let clock: any ServiceClock
    let log: Log

    // The link; all of it is new with every connection.
    var link: (any StationLink)?
    var queue = CallQueue<Int>()
    var waiting: [Int: CheckedContinuation<CallQueue<Int>.Outcome, Never>] = [:]
    var nextTag = 1
    var outbox: AsyncStream<[UInt8]>.Continuation?
    var replies = ReplyCache()
    var linkSince: Timestamp?
    var saidClockIsUntrusted = false
    /// True while the operator tells a time that nobody can mean.
    private var saidTimeIsRefused = false
    var lastHeartbeat: Int64 = 0
    var hasHeardNonsense = false
    var reconnectsAfterReply = false
    /// True from the last answer of a link that is made anew until it is gone.
    var isLeavingLink = false
    /// Our call that was under way then; what is called later is not sent any more.
    var lastCall: MessageID?

    // What outlives a link.
    var registration: RegistrationStatus?
    var isStationOperative: Bool
    var statuses: [ConnectorNumber: StatusReport] = [:]
    var told: [ConnectorNumber: StatusReport] = [:]
    var deliveryWaitsUntil: Int64 = 0
    var pace = DeliveryPace()
    var backoff: Backoff
    /// Why the last link was not made, and when the next try is, on the monotonic clock.
    var linkTrouble: String?
    var triesAt: Int64?
    /// Tokens of each connector that are being asked about.
    var questions: [ConnectorNumber: Int] = [:]
    /// What the operator reserved, by his numbers.
    var reservations: [Int: Reservation] = [:]
    /// False until those of before the restart were read; until then nobody new starts.
    var areReservationsKnown = false
    var saidReservationsAreUnread = false
    /// Connectors kept for a reservation of the station, and until when a driver is awaited there.
    var holds: [ConnectorNumber: Int] = [:]
    var boundUntil: [ConnectorNumber: Int64] = [:]
    var isSharingOut = false
    var mustShareAgain = false
    let wake: AsyncStream<Void>.Continuation
    private let wakes: AsyncStream<Void>
    let errands: AsyncStream<@Sendable () async -> Void>.Continuation
    private let errandList: AsyncStream<@Sendable () async -> Void>

    /// Messages that wait for the socket; the peer has stopped reading when there are more.
    private static let mostWaitingMessages = 128
    private static let mostErrands = 32

    package init(
        _ configuration: Configuration, connectors: [ConnectorController], journal: BoardJournal,
        settings: StationSettings, isStationOperative: Bool = true,
        clock: any ServiceClock = .system, log: Log
    ) {
        self.configuration = configuration
        self.connectors = connectors
        self.journal = journal
        self.settings = settings
        self.isStationOperative = isStationOperative
        self.clock = clock
        self.log = log
        backoff = configuration.backoff
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (errandList, errands) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingOldest(Self.mostErrands))
    }

    /// Takes up what was promised before the restart. To be called before anything can start.
    package func load() async { await resumeReservations() }

    /// Runs until it is cancelled.
    package func run() async {
        await applySettings()
        await resumeReservations()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.stayConnected() }
            group.addTask { await self.deliverForEver() }
            group.addTask { await self.watchJournal() }
            group.addTask { await self.keepClockAligned() }
            group.addTask { await self.keepReservations() }
            for connector in connectors {
                group.addTask { await self.listen(to: connector) }
            }
            if let upkeep = configuration.upkeep {
                group.addTask { await upkeep.run(for: self) }
            }
            for await errand in errandList { group.addTask { await errand() } }
            group.cancelAll()
        }
    }

    // MARK: The link

    private func stayConnected() async {
        while !Task.isCancelled {
            do {
                let link = try await configuration.connect([
                    configuration.dialect.version.subprotocol
                ])
                linkTrouble = nil
                await converse(link)
                log.notice("link closed")
            } catch {
                linkTrouble = Self.shown(String(describing: error))
                tell(linkFailure: String(describing: error))
            }
            let pause = backoff.next()
            triesAt = clock.monotonicMilliseconds + pause
            // Cancellation ends the loop by its condition.
            try? await clock.sleep(milliseconds: pause)
            triesAt = nil
        }
    }

    private func converse(_ link: any StationLink) async {
        let (messages, outbox) = AsyncStream<[UInt8]>.makeStream(
            bufferingPolicy: .bufferingOldest(Self.mostWaitingMessages))
        self.link = link
        self.outbox = outbox
        queue = CallQueue<Int>()
        replies = ReplyCache()
        linkSince = clock.now
        hasHeardNonsense = false
        isLeavingLink = false
        lastHeartbeat = clock.monotonicMilliseconds
        perform(queue.handle(.linkIsUp, at: clock.monotonicMilliseconds))
        await link.ping(everySeconds: settings.int(.webSocketPingSeconds, else: 60))
        log.notice("link up", ["subprotocol": link.subprotocol])
        await withTaskGroup { group in
            group.addTask {
                for await message in messages {
                    do { try await link.send(message) } catch { break }
                }
                await self.restBeforeClosing()
                await link.close()
            }
            group.addTask { await self.keepTime() }
            group.addTask { await self.introduce() }
            while let message = await link.next() { await receive(message) }
            // Who waits for an answer hears now that none comes, or the group would never end.
            self.link = nil
            self.outbox = nil
            perform(queue.handle(.linkIsDown, at: clock.monotonicMilliseconds))
            group.cancelAll()
            outbox.finish()
        }
        linkSince = nil
        await configuration.smartCharging?.linkChanged(isUp: false)
        await link.close()
    }

    /// The clock of a link: answers that do not come, heartbeats, deliveries to be tried again.
    private func keepTime() async {
        while !Task.isCancelled {
            do { try await clock.sleep(milliseconds: 500) } catch { return }
            let now = clock.monotonicMilliseconds
            perform(queue.handle(.tick, at: now))
            wake.yield()
            let interval = Int64(settings.int(.heartbeatIntervalSeconds, else: 300)) * 1000
            if registration == .accepted, interval > 0, now - lastHeartbeat >= interval {
                lastHeartbeat = now
                errands.yield { await self.beat() }
            }
        }
    }

    func beat() async {
        if case .answered(.alive(let now)) = await call(.alive) { compare(clockWith: now) }
    }

    func compare(clockWith operatorsTime: Timestamp) {
        guard BoardClock.isPlausible(operatorsTime) else {
            // Each Heartbeat brings it again.
            if !saidTimeIsRefused {
                log.warning("operator's time refused", ["time": operatorsTime])
            }
            saidTimeIsRefused = true
            return
        }
        saidTimeIsRefused = false
        guard let wrong = configuration.correctClock(operatorsTime) else { return }
        log.warning("clock set by the operator's", ["milliseconds": wrong])
        note(.settingSystemTime, "moved by \(wrong) ms")
    }

    // MARK: Boot

    /// BootNotification until it is accepted, once per start of the program. OCPP 1.6 §4.2.
    private func introduce() async {
        while registration != .accepted, !Task.isCancelled {
            let outcome = await call(.booted(configuration.identity), .urgent)
            var wait: Int64 = 30_000
            if case .answered(.booted(let status, let interval, let now)) = outcome {
                registration = status
                if status != .rejected { compare(clockWith: now) }
                log.notice(
                    "registered", ["status": status.rawValue, "intervalSeconds": interval])
                if status == .accepted {
                    if interval > 0 { settings.hold(String(interval), for: "HeartbeatInterval") }
                    told = [:]
                    break
                }
                wait = min(max(Int64(interval), 10), 86_400) * 1000
            }
            do { try await clock.sleep(milliseconds: wait) } catch { return }
        }
        guard registration == .accepted, !Task.isCancelled else { return }
        backoff.reset()
        await configuration.upkeep?.registered()
        await configuration.smartCharging?.linkChanged(isUp: true)
        await reportStatuses()
        wake.yield()
    }

    // MARK: Connectors

    func controller(_ number: ConnectorNumber) -> ConnectorController? {
        connectors.first { $0.number == number }
    }

    private func listen(to connector: ConnectorController) async {
        for await notice in connector.notices {
            switch notice {
            case .status(let status):
                watchDoor(status, connector.number)
                statuses[connector.number] = StatusReport(
                    connector: connector.number, status: status.status,
                    errorCode: status.errorCode, info: status.info,
                    vendorErrorCode: status.vendorErrorCode, at: clock.now)
                errands.yield { await self.reportStatuses() }
                await shareOut()
            case .authorize(let token):
                errands.yield { await self.ask(about: token, of: connector) }
            case .journalled: wake.yield()
            case .reservationEnded(let id, let why): await ended(id, at: connector.number, why)
            }
        }
    }

    /// Tells every status the operator does not have yet; old ones are never sent. OCPP 1.6 §4.9.
    func reportStatuses() async {
        guard registration == .accepted, link != nil else { return }
        let own = StatusReport(
            connector: 0, status: isStationOperative ? .available : .unavailable, at: clock.now)
        for number in [0] + statuses.keys.sorted() {
            // Read anew after each answer: another report may have told a newer one meanwhile.
            guard let status = number == 0 ? own : statuses[number] else { continue }
            if let known = told[number], known.isSame(as: status) { continue }
            let before = told[number]
            told[number] = status
            if case .answered = await call(.statusChanged(status)) { continue }
            // Not heard: it is tried again with the next change or link.
            if told[number] == status { told[number] = before }
        }
    }

    // MARK: Delivery

    private func deliverForEver() async {
        for await _ in wakes {
            if clock.monotonicMilliseconds >= deliveryWaitsUntil { await deliver() }
        }
    }

    func receive(_ message: [UInt8]) async {
        do throws(FrameError) {
            let frame = try Frame(reading: message.span.bytes)
            let now = clock.monotonicMilliseconds
            switch frame.kind {
            // Nothing is done that could not be answered; the operator asks again.
            case .call(let action) where isLeavingLink:
                log.notice("command not taken, the link is made anew", ["action": action])
            case .call(let action): await serve(frame, action, message)
            case .result:
                perform(
                    queue.handle(.result(frame.id, payload: Array(message[frame.payload])), at: now)
                )
            case .error(let error): perform(queue.handle(.error(frame.id, error), at: now))
            }
        } catch {
            log.warning("frame not read", ["error": String(describing: error)])
            if !hasHeardNonsense { note(.invalidMessages) }
            hasHeardNonsense = true
            if case .answerable(let id, let why) = error {
                outbox?.yield(Frame.error(id, why, in: configuration.dialect.version))
            }
        }
    }
}

extension StatusReport {
    /// The same but for when it was seen.
    func isSame(as other: StatusReport) -> Bool {
        var other = other
        other.at = at
        return self == other
    }
}

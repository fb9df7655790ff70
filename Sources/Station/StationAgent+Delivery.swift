import Charging
import OCPP
import Service

/// How long delivery waits before it tries again: a value, so that a simulation can play it.
///
/// Nothing is ever given up here. Silence is no answer, so it counts no attempt; it only makes the
/// waits longer, up to a limit.
package struct DeliveryPace: Hashable, Sendable {
    /// The longest wait for one message, whatever the operator's retry interval.
    package static let longestMilliseconds: Int64 = 900_000
    private(set) var silences: Int64 = 0

    package init() {}

    /// An answer came, whatever it says: the way is open.
    package mutating func answered() { silences = 0 }

    /// No answer came. Each wait is longer than the one before. OCPP 1.6 §3.7.1.
    ///
    /// - Returns: milliseconds to wait; 0 where the link is gone, for the next one starts anew.
    package mutating func silent(isLinked: Bool, retryMilliseconds: Int64) -> Int64 {
        guard isLinked else {
            silences = 0
            return 0
        }
        silences += 1
        return min(retryMilliseconds * min(silences, 1_000), Self.longestMilliseconds)
    }

    /// An error was answered, for the `times`-th time.
    package func refused(times: Int, retryMilliseconds: Int64) -> Int64 {
        min(retryMilliseconds * Int64(times), Self.longestMilliseconds)
    }
}

extension StationAgent {
    /// Once the journal is found damaged and nothing charges, the program starts again: its start is
    /// what rebuilds it. What charges goes on until then; a charge that is over and whose stop the
    /// damage keeps from the disk is what the start is for.
    func watchJournal() async {
        await journal.watch(log)
        while !Task.isCancelled, journal.trouble == .damaged {
            var isIdle = true
            for connector in connectors where await connector.isCharging { isIdle = false }
            if isIdle {
                log.error("starting again to rebuild the journal")
                await configuration.restart(.soft)
                return
            }
            do { try await clock.sleep(milliseconds: 1_000) } catch { return }
        }
    }

    package func clearJournalNotices() async throws { try await journal.clearNotices() }

    /// Sends what the journal holds, in order, until it is empty or must wait.
    func deliver() async {
        while registration == .accepted, link != nil, !Task.isCancelled {
            do {
                guard let message = try await journal.nextMessage() else { return }
                guard try await deliver(message) else { return }
            } catch {
                journal.note(error)
                log.error("journal not read", ["error": String(describing: error)])
                deliveryWaitsUntil = clock.monotonicMilliseconds + 5_000
                return
            }
        }
    }

    /// True if the next message may follow at once.
    private func deliver(_ message: BoardJournal.Message) async throws -> Bool {
        let retry = Int64(settings.int(.transactionMessageRetrySeconds, else: 60)) * 1000
        guard let event = try await event(for: message) else {
            try await journal.confirm(message)
            return true
        }
        let outcome = await call(event, .transaction)
        switch outcome {
        case .answered(let reply):
            pace.answered()
            if try await settle(message, reply) { return true }
        case .refused: pace.answered()
        case .unsayable:
            // Only a sample can be; a start or stop steps aside and stays for a person to see.
            return try await refused(message, attempts: 1, retry)
        case .silent, .crowded:
            deliveryWaitsUntil =
                clock.monotonicMilliseconds
                + pace.silent(isLinked: link != nil, retryMilliseconds: retry)
            return false
        }
        let attempts = settings.int(.transactionMessageAttempts, else: 3)
        return try await refused(message, attempts: attempts, retry)
    }

    private func refused(
        _ message: BoardJournal.Message, attempts: Int, _ retry: Int64
    ) async throws -> Bool {
        switch try await journal.refuse(message, attempts: attempts) {
        case .again:
            deliveryWaitsUntil =
                clock.monotonicMilliseconds
                + pace.refused(times: message.refusals + 1, retryMilliseconds: retry)
            return false
        case .dropped:
            log.warning("meter sample given up", ["charge": message.charge])
            return true
        case .parked(let wait):
            log.error(
                "charge parked, refused or not to be told",
                ["charge": message.charge, "triedAgainInSeconds": wait / 1000])
            return true
        }
    }

    /// nil for a sample of which nothing is left to tell.
    private func event(for message: BoardJournal.Message) async throws -> StationEvent? {
        switch message.kind {
        case .start(var start):
            if !TellableToken.isTellable(start.token) {
                log.warning("start told under a cut token", ["charge": message.charge])
                start.token = TellableToken.cut(start.token)
            }
            return .sessionStarted(start)
        case .stop(var stop):
            // A stop needs none.
            if let token = stop.token, !TellableToken.isTellable(token) { stop.token = nil }
            return .sessionStopped(try await withData(stop, of: message.charge))
        case .sample(let connector, let transaction, let stored):
            guard var sample = StoredSample(text: stored.text) else { return nil }
            sample.snapshot.at.milliseconds += stored.shift
            let reading = sample.reading(
                of: settings.choices(
                    sample.context == .sampleClock ? .measurandsAligned : .measurandsSampled))
            guard !reading.samples.isEmpty else { return nil }
            return .metered(
                MeterReport(connector: connector, transaction: transaction, readings: [reading]))
        }
    }

    /// What is not remembered is asked again; it must not hold up what is owed.
    private func remember(_ token: String, _ info: AuthorizationInfo) async {
        do { try await learn(token, info) } catch {
            log.warning("token not remembered", ["error": String(describing: error)])
        }
    }

    /// False where the answer is of another kind than the question.
    private func settle(
        _ message: BoardJournal.Message, _ reply: StationReply
    ) async throws -> Bool {
        switch (message.kind, reply) {
        case (.start(let start), .started(.number(let id), let info)):
            try await journal.confirmStart(message, operatorID: id)
            log.notice("start confirmed", ["charge": message.charge, "transaction": id])
            await remember(start.token, info)
            await controller(start.connector)?.transactionToken(info, charge: message.charge)
        case (.sample, .noted): try await journal.confirm(message)
        case (.stop(let stop), .stopped(let info)):
            try await journal.confirm(message)
            log.notice("stop confirmed", ["charge": message.charge])
            if let token = stop.token, let info { await remember(token, info) }
        case (.start, _), (.sample, _), (.stop, _): return false
        }
        return true
    }
}

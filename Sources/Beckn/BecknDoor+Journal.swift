import CPO
import Charging
import JSON
import SQL
import Service

extension BecknDoor {
    static let reader = "beckn/door"

    /// Follows what the house does: sessions, bills and commands of our orders, statuses for the
    /// catalogue. Lines come at least once; the machine takes the second one for nothing.
    func follow() async throws {
        let reader = JournalReader(
            name: Self.reader,
            kinds: [
                .evseStatus, .locationChanged, .tariffChanged, .tariffDeleted, .sessionStarted,
                .sessionUpdated, .sessionEnded, .cdrCreated, .commandChanged,
            ])
        try await reader.run(house) { line in await self.take(line) }
    }

    func take(_ line: JournalLine) async -> JournalReader.Delivery {
        do {
            switch line.kind {
            case .evseStatus: takeStatus(line)
            case .locationChanged: refreshCatalogue(location: line.subject)
            case .tariffChanged, .tariffDeleted: rebuildCatalogue()
            case .sessionStarted: try await takeSession(line) { .sessionStarted($0) }
            case .sessionUpdated: try await takeSession(line) { .sessionUpdated($0) }
            case .sessionEnded: try await takeSession(line) { .sessionEnded($0) }
            case .cdrCreated: try await takeBill(line)
            case .commandChanged: try await takeCommand(line)
            default: break
            }
            return .delivered
        } catch let error as SQLError {
            return .retry(reason: "\(error)")
        } catch {
            // Reading it again would not help, and every other order would wait for this one.
            log.error(
                "journal line set aside",
                ["kind": line.kind.rawValue, "subject": line.subject, "error": LogError(error)])
            return .park(reason: "\(error)")
        }
    }

    private func takeStatus(_ line: JournalLine) {
        // A line of ours that is not JSON cannot be; it would only leave the catalogue as it is.
        let body = try? JSONValue(parsing: line.body)
        guard let status = body?["status"]?.string.flatMap(EVSEStatus.init) else { return }
        catalogue.withLock { $0.setStatus(status, ofEVSE: line.subject, at: line.at) }
    }

    private func takeSession(
        _ line: JournalLine, _ input: (Order.Delivery) -> OrderMachine.Input
    ) async throws {
        guard let session = try await house.sessions.session(line.subject),
            let order = session.authorizationReference
        else { return }
        try await handle(input(delivery(of: session)), order: order)
    }

    func delivery(of session: Session) -> Order.Delivery {
        Order.Delivery(
            sessionID: session.id, startedAt: session.startedAt, endedAt: session.endedAt,
            meterStartWh: session.meterStart.value, meterLastWh: session.meterLast.value,
            cost: session.cost?.payable,
            powerWatts: house.sessions.live(session.id)?.power?.floor)
    }

    private func takeBill(_ line: JournalLine) async throws {
        guard let cdr = try await house.cdrs.cdr(line.subject),
            let order = cdr.session.authorizationReference
        else { return }
        guard cdr.creditOf != nil else { return try await handle(.billed(bill(cdr)), order: order) }
        // A credit alone means that nothing is owed; with another bill behind it, that one speaks.
        guard try await house.sessions.session(cdr.session.id)?.status == .invalid else { return }
        var nothing = bill(cdr)
        nothing.total = .zero
        nothing.totalBeforeTax = .zero
        nothing.tax = nil
        nothing.lines = []
        try await handle(.billed(nothing), order: order)
    }

    func bill(_ cdr: CDR) -> Order.Bill {
        let (cost, session) = (cdr.cost, cdr.session)
        let rates = Set(cost.lines.filter { $0.cost.exclVAT != .zero }.map(\.vat))
        return Order.Bill(
            cdrID: cdr.id, currency: cost.currency, total: cost.payable,
            lines: Quote.lines(of: cost, taxTitle: settings.taxTitle, digits: digits),
            energyWh: session.energy.value, startedAt: session.startedAt,
            endedAt: session.endedAt ?? cdr.createdAt, meterStartWh: session.meterStart.value,
            meterStopWh: session.meterLast.value, totalBeforeTax: cost.total.exclVAT,
            tax: cost.total.inclVAT.map { $0 - cost.total.exclVAT },
            taxRate: rates.count == 1 ? rates.first ?? nil : nil, issuedAt: cdr.createdAt)
    }

    /// A start or stop of ours that the station refused, or did not answer.
    private func takeCommand(_ line: JournalLine) async throws {
        guard let command = try await house.commands.command(line.subject),
            command.origin.door == "beckn"
        else { return }
        let reason: String
        switch command.state {
        case .rejected: reason = "the charger refused"
        case .timedOut: reason = "the charger did not answer"
        case .failed: reason = "the charger could not be reached"
        case .queued, .sent, .accepted, .seen: return
        }
        switch command.command {
        case .start, .startLimited:
            try await handle(.startFailed(reason: reason), order: command.origin.reference)
        case .stop:
            try await handle(.stopFailed(reason: reason), order: command.origin.reference)
        case .unlock, .setAvailability, .trigger, .reset, .changeSetting, .getSettings,
            .clearCache, .data, .setProfile, .clearProfiles, .getComposite, .foreign:
            break
        case .maintenance: break
        case .sendLocalList, .getLocalListVersion, .reserve, .cancelReservation:
            break
        }
    }
}

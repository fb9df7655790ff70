import Charging
import SQL
import Service

extension Sessions {
    /// What is known of a tag at the moment it is shown.
    package struct Authorization {
        package var info: AuthorizationInfo
        package var token: Token?
        /// The remote start that this tag was announced by.
        var command: Command?
        /// Its owner was asked and allowed it.
        var isOwnersWord = false
        /// What the owner wants in session and bill.
        package var reference: String?
    }

    // MARK: Before the transaction

    /// Asks the tag's owners, where somebody has to be asked before this event is decided.
    nonisolated(nonsending) func words(
        for event: StationEvent, from station: String, receivedAt: Timestamp
    ) async throws -> RealTimeAuthorization.Words? {
        guard stores.realTime.isNeeded else { return nil }
        let idTag: String
        var connector: ConnectorNumber?
        switch event {
        case .authorizing(let token): idTag = token
        case .sessionStarted(let start):
            idTag = start.token
            connector = start.connector
            // Out of a backlog: the station decided long ago, and nobody stands there any more.
            if let at = start.at, !StationTime.isUnset(at),
                receivedAt.seconds(since: at.advanced(bySeconds: lagSeconds(of: station)))
                    > RealTimeAuthorization.freshSeconds
            {
                return nil
            }
        default: return nil
        }
        let wanted = connector
        let candidates = try await database.read { [stores] transaction -> [Token]? in
            guard try !stores.stations.isWaiting(station, in: transaction),
                try stores.commands.awaitedStart(
                    station: station, connector: wanted, idTag: idTag, startedAt: nil,
                    at: receivedAt, in: transaction) == nil
            else { return nil }
            return try stores.tokens.candidates(idTag: idTag, in: transaction)
        }
        guard let candidates else { return nil }
        return await words(
            of: candidates, idTag: idTag, at: station, connector: connector,
            receivedAt: receivedAt)
    }

    /// Asks the owners of a token that no order speaks for, as when it is shown to a reader; by its uid,
    /// which may be longer than a station can tell.
    nonisolated(nonsending) package func words(
        of uid: String, at station: String, connector: ConnectorNumber?, receivedAt: Timestamp
    ) async throws -> RealTimeAuthorization.Words? {
        guard stores.realTime.isNeeded else { return nil }
        let candidates = try await database.read { [stores] transaction in
            try stores.tokens.candidates(idTag: Tokens.idTag(of: uid), in: transaction)
        }
        return await words(
            of: candidates, idTag: uid, at: station, connector: connector,
            receivedAt: receivedAt)
    }

    nonisolated(nonsending) private func words(
        of candidates: [Token], idTag: String, at station: String, connector: ConnectorNumber?,
        receivedAt: Timestamp
    ) async -> RealTimeAuthorization.Words {
        let (location, evses) = whereabouts(of: station, connector: connector)
        return await stores.realTime.words(
            of: candidates, idTag: Tokens.trimmed(idTag), station: station, location: location,
            evses: evses, at: receivedAt)
    }

    /// What an owner is told of the place: all EVSEs of the station there, so that the card and the
    /// start after it are one question.
    private func whereabouts(
        of station: String, connector: ConnectorNumber?
    ) -> (location: String?, evses: [String]) {
        let places = stores.locations.places(station: station).filter { $0.location.publish }
        let here = places.first { $0.evse.stationConnector == connector } ?? places.first
        guard let here else { return (nil, []) }
        return (
            here.location.id,
            places.filter { $0.location.id == here.location.id }.map(\.evse.uid)
        )
    }

    // MARK: In the transaction

    /// May this tag charge here? A remote start speaks for its own tag, known or not.
    ///
    /// - Parameter startedAt: by our clock; a charge out of a backlog was not begun by an order that
    ///   came after it, nor with a token that had expired before.
    /// - Parameter words: what owners said just now; nil where nobody was asked.
    ///
    /// A station that nobody took in speaks for no driver: anybody can come into the inbox, and could
    /// send bills in the name of every tag it has seen.
    func authorize(
        _ idTag: String, at station: String, connector: ConnectorNumber? = nil,
        startedAt: Timestamp? = nil, receivedAt: Timestamp,
        words: RealTimeAuthorization.Words? = nil, in transaction: Transaction
    ) throws -> Authorization {
        if try stores.stations.isWaiting(station, in: transaction) {
            return Authorization(info: AuthorizationInfo(.invalid))
        }
        if let command = try stores.commands.awaitedStart(
            station: station, connector: connector, idTag: idTag, startedAt: startedAt,
            at: receivedAt, in: transaction)
        {
            return Authorization(
                info: AuthorizationInfo(.accepted), token: command.token, command: command)
        }
        return try judge(
            idTag, at: station, connector: connector, startedAt: startedAt,
            receivedAt: receivedAt, words: words, in: transaction)
    }

    /// The same of a tag that no order speaks for, as when it is shown to a reader.
    package func judge(
        _ idTag: String, at station: String, connector: ConnectorNumber?,
        startedAt: Timestamp? = nil, receivedAt: Timestamp, words: RealTimeAuthorization.Words?,
        in transaction: Transaction
    ) throws -> Authorization {
        let moment = min(startedAt ?? receivedAt, receivedAt)
        var found: Authorization?
        for token in try stores.tokens.candidates(idTag: idTag, in: transaction) {
            // Another way was quicker: what its owner said of it is older than what the registry has.
            let hasChanged = words.map { !$0.candidates.contains(token) } ?? false
            let one = judge(
                token, words?.byOwner[token.party], hasChanged: hasChanged, at: station,
                connector: connector, moment)
            if one.info.status == .accepted {
                found = one
                break
            }
            found = found ?? one
        }
        if found == nil, let word = words?.ofUnknown {
            found = judgeUnknown(idTag, word, at: station, connector: connector)
        }
        guard let found else { return Authorization(info: AuthorizationInfo(.invalid)) }
        if found.info.status == .accepted {
            if found.isOwnersWord, let token = found.token {
                try stores.tokens.take(token, at: receivedAt, in: transaction)
            }
            try stores.tokens.shown(idTag, at: station, receivedAt, in: transaction)
        }
        return found
    }

    /// One owner's token by its whitelist. OCPI 2.2.1 §12.4.4.
    private func judge(
        _ token: Token, _ word: OwnerAnswer?, hasChanged: Bool, at station: String,
        connector: ConnectorNumber?, _ moment: Timestamp
    ) -> Authorization {
        func answer(_ status: AuthorizationStatus) -> Authorization {
            Authorization(info: token.info(status), token: token)
        }
        if token.isExpired(at: moment) { return answer(.expired) }
        let byRegistry = answer(token.isValid ? .accepted : .blocked)
        if token.party == settings.party {
            return token.isValid && token.whitelist == .never ? answer(.invalid) : byRegistry
        }
        switch token.whitelist {
        case .always, .allowed: return byRegistry
        case .allowedOffline, .never: break
        }
        switch word {
        case .allowed(let told, let reference, let evses):
            guard holds(evses, at: station, connector: connector) else { return answer(.invalid) }
            if hasChanged, !token.isValid { return answer(.blocked) }
            var current = token
            if let told, told.lastUpdated >= token.lastUpdated { current = told }
            (current.expires, current.mostCharges) = (token.expires, token.mostCharges)
            // Some partners answer in lower case; the registry's spelling stands.
            current.uid = token.uid
            return Authorization(
                info: current.info(.accepted), token: current, isOwnersWord: true,
                reference: reference)
        case .refused(let status): return answer(status)
        case .unknown: return answer(.invalid)
        case .silent, nil:
            // NEVER wants its owner's word each time; without it the answer is no.
            guard token.whitelist == .allowedOffline else {
                return answer(token.isValid ? .invalid : .blocked)
            }
            return byRegistry
        }
    }

    /// A tag that nobody here knew, and somebody vouches for.
    private func judgeUnknown(
        _ idTag: String, _ word: OwnerAnswer, at station: String, connector: ConnectorNumber?
    ) -> Authorization? {
        switch word {
        case .allowed(let token?, let reference, let evses):
            // Another tag's token would be charged for this one's energy.
            guard Tokens.folded(Tokens.idTag(of: token.uid)) == Tokens.folded(idTag),
                token.party != settings.party, holds(evses, at: station, connector: connector)
            else { return nil }
            return Authorization(
                info: token.info(.accepted), token: token, isOwnersWord: true, reference: reference)
        case .refused(let status): return Authorization(info: AuthorizationInfo(status))
        case .allowed, .unknown, .silent: return nil
        }
    }

    /// Whether an owner's yes is good here. Before a connector is known, one of the station's will do.
    private func holds(
        _ evses: [String]?, at station: String, connector: ConnectorNumber?
    ) -> Bool {
        guard let evses else { return true }
        let allowed = Set(evses.map { $0.lowercased() })
        return stores.locations.places(station: station).contains { place in
            (connector == nil || place.evse.stationConnector == connector)
                && allowed.contains(place.evse.uid.lowercased())
        }
    }

    // MARK: Charges at a time

    /// Why this token may not begin another charge; nil: it may. OCPP 1.6 §7.2, ConcurrentTx.
    ///
    /// Counted are charges that ran already when this one began: a backlog's start is no second
    /// charge beside today's, and one on the same connector ends when this begins.
    func excess(
        of token: Token, at station: String, connector: ConnectorNumber, startedAt: Timestamp,
        in transaction: Transaction
    ) throws -> String? {
        let most = token.mostCharges ?? settings.chargesPerToken
        let mostOfGroup = try token.groupID.flatMap { group in
            try stores.tokens.groupLimit(token.party, group, in: transaction)
                ?? settings.chargesPerGroup
        }
        guard most > 0 || mostOfGroup ?? 0 > 0 else { return nil }
        let open = book.withLock { book in
            (
                token: book.open(token: token).filter { counts($0.session) },
                group: book.open(groupOf: token).filter { counts($0.session) }
            )
        }
        // Asked of the rows only where it decides.
        func running(_ open: [SessionBook.Entry], _ most: Int) throws -> Int {
            guard most > 0, open.count >= most else { return open.count }
            return try open.count { try !isOver($0, in: transaction) }
        }
        let running = (
            token: try running(open.token, most), group: try running(open.group, mostOfGroup ?? 0)
        )
        if most > 0, running.token >= most {
            return "\(running.token) charges of this token run already, \(most) may"
        }
        if let mostOfGroup, mostOfGroup > 0, running.group >= mostOfGroup {
            return "\(running.group) charges of its group run already, \(mostOfGroup) may"
        }
        return nil

        // Its stop was lost: its plug is free.
        func isOver(_ entry: SessionBook.Entry, in transaction: Transaction) throws -> Bool {
            try transaction.queryOne(
                """
                SELECT at FROM station_connector WHERE station = ? AND number = ? AND status = ?
                AND at > ? AND at >= ?
                """, entry.session.station, entry.session.connector,
                ConnectorStatus.available.rawValue, entry.session.startedAt,
                entry.builder.lastReadingAt) != nil
        }

        func counts(_ session: Session) -> Bool {
            session.startedAt <= startedAt
                && !(session.station == station && session.connector == connector)
        }
    }
}

extension Token {
    /// What a station is told of it; the group in the spelling that fits a station.
    package func info(_ status: AuthorizationStatus) -> AuthorizationInfo {
        AuthorizationInfo(
            status, group: groupID.map(Tokens.idTag(of:)), expires: expires)
    }
}

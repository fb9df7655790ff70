import CPO
import Charging
import Crypto
import JSON
import SQL
import Service

/// What goes on by itself: signing, and asking for requests in time.
extension StationAuthority {
    private static let lookMilliseconds: Int64 = 1000
    private static let renewalMilliseconds: Int64 = 600_000
    /// Stations that are asked to renew in one look, so that a rotation does not hit all at once.
    private static let renewalsALook = 50
    private static let askAgainSeconds: Int64 = 86_400

    /// Signs what was asked for and asks for what ends soon, until cancelled; the roof owns the task.
    package func run() async throws {
        let announcements = house.journal.announcements()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                while true {
                    try await self.renew()
                    try await self.house.clock.sleep(milliseconds: Self.renewalMilliseconds)
                }
            }
            try await sign()
            for await _ in announcements {
                // The station has our answer before anything else comes.
                try await house.clock.sleep(milliseconds: Self.lookMilliseconds)
                try await sign()
            }
        }
    }

    /// Sends the authority's root to a station that has not taken it, then the certificate.
    func sign() async throws {
        let isWanted = try await house.read { transaction in
            try transaction.queryOne("SELECT station FROM csms_signing LIMIT 1") != nil
        }
        guard isWanted else { return }
        let now = house.clock.now
        try await house.write { [self] transaction in
            for row in try transaction.query("SELECT * FROM csms_signing ORDER BY asked_at") {
                try sign(row, at: now, in: transaction)
            }
        }
    }

    private func sign(_ row: Row, at now: Timestamp, in transaction: Transaction) throws {
        let station = try row.text("station")
        guard try house.stations.station(station, in: transaction)?.isOnline == true else {
            // It asks again when it comes back; a certificate for a key it gave up helps nobody.
            if try row.timestamp("asked_at") < now.advanced(bySeconds: -Self.askAgainSeconds) {
                try transaction.execute("DELETE FROM csms_signing WHERE station = ?", station)
            }
            return
        }
        if let id = try row.textOrNil("root_command") {
            guard try house.commands.command(id, in: transaction)?.state.isSettled ?? true else {
                return
            }
        } else if try !knowsRoot(station, in: transaction) {
            let root = try settings.authority.certificatePEM()
            let command = order(
                .installRoot(.centralSystem, pem: root), station, fingerprint, at: now)
            try house.commands.enqueue(command, in: transaction)
            try transaction.execute(
                "UPDATE csms_signing SET root_command = ? WHERE station = ?", command.id, station)
            return
        }
        try transaction.execute("DELETE FROM csms_signing WHERE station = ?", station)
        try issue(
            try row.text("csr"), to: station, name: try row.text("name"), at: now, in: transaction)
    }

    /// It took this root from us before.
    private func knowsRoot(_ station: String, in transaction: Transaction) throws -> Bool {
        try transaction.queryOne(
            """
            SELECT id FROM command WHERE station = ? AND name = 'installRoot' AND door = 'authority'
            AND reference = ? AND state IN ('accepted', 'seen') LIMIT 1
            """, station, fingerprint) != nil
    }

    private func issue(
        _ csr: String, to station: String, name: String, at now: Timestamp,
        in transaction: Transaction
    ) throws {
        let made: Certificate
        do {
            made = try settings.authority.sign(
                try check(csr, name: name, at: now), commonName: name,
                organisation: settings.organisation, validDays: days(at: now))
        } catch {
            house.log.error("certificate not made", ["station": station, "error": "\(error)"])
            return
        }
        let chain = try made.pem() + settings.authority.certificatePEM()
        let command = order(.certificateSigned(chain: chain), station, made.fingerprint, at: now)
        try house.commands.enqueue(command, in: transaction)
        let notAfter = Timestamp(seconds: made.notAfter)
        try transaction.execute(
            """
            INSERT INTO csms_certificate (fingerprint, serial, station, name, issuer, made_at,
            not_after, command) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """, made.fingerprint, made.serial, station, name, fingerprint, now, notAfter,
            command.id)
        try house.journal.append(
            .stationCertificateSigned, station,
            [
                "fingerprint": .string(made.fingerprint), "serial": .string(made.serial),
                "notAfter": .time(notAfter),
            ], at: now, in: transaction)
        house.log.notice(
            "certificate made", ["station": station, "serial": made.serial, "name": name])
    }

    private func order(
        _ order: MaintenanceOrder, _ station: String, _ reference: String, at now: Timestamp
    ) -> Command {
        Command(
            id: UUID4.make(), station: station, command: .maintenance(order),
            origin: CommandOrigin(door: "authority", reference: reference), createdAt: now)
    }

    /// Asks stations whose certificate ends soon, or was made by a former authority, for a request.
    func renew() async throws {
        let now = house.clock.now
        let soon = now.advanced(bySeconds: Int64(settings.renewDays) * 86_400)
        let askedBefore = now.advanced(bySeconds: -Self.askAgainSeconds)
        try await house.write { [self] transaction in
            for row in try transaction.query(
                """
                SELECT c.station AS station, MAX(c.not_after) AS until FROM csms_certificate c
                JOIN station s ON s.id = c.station LEFT JOIN csms_renewal r ON r.station = c.station
                WHERE s.is_online = 1 AND s.registration = 'Accepted' AND c.ends_at IS NULL
                AND c.used_at IS NOT NULL AND (r.asked_at IS NULL OR r.asked_at < ?)
                AND NOT EXISTS (SELECT 1 FROM csms_certificate n WHERE n.station = c.station
                AND n.ends_at IS NULL AND n.not_after >= ? AND n.issuer = ?)
                GROUP BY c.station ORDER BY MAX(c.not_after) LIMIT ?
                """, askedBefore, soon, fingerprint, Self.renewalsALook)
            {
                let station = try row.text("station")
                try house.commands.enqueue(
                    order(
                        .trigger(message: "SignChargePointCertificate", connector: nil), station,
                        fingerprint, at: now), in: transaction)
                try transaction.execute(
                    """
                    INSERT INTO csms_renewal (station, asked_at) VALUES (?, ?)
                    ON CONFLICT (station) DO UPDATE SET asked_at = excluded.asked_at
                    """, station, now)
            }
        }
    }
}

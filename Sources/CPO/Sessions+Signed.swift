import Charging
import SQL

// What a meter signed of a charge goes with its bill: who pays can check it, and the readings it came in
// are gone long before the bill.
extension Sessions {
    /// Records of a begin or an end that one bill carries: meters sign one, some one a register.
    static let mostSignedAtAnEnd = 2
    /// Of what lies between.
    static let mostSignedBetween = 6
    /// OCPI tells none that is longer; an OCMF record has some hundred.
    static let mostSignedBytes = 8000

    /// The records of a session's first begin, of its last end, and the first between them.
    func signed(of session: String, in transaction: Transaction) throws -> [SignedReading] {
        var (begins, ends, others) = ([SignedReading](), [SignedReading](), [SignedReading]())
        // A sample that nobody signed ends with an empty field, see `storedSamples`: of a charge whose
        // meter signs nothing no row is read.
        try eachSigned(of: session, in: transaction) { at, reading in
            for sample in reading.samples {
                guard let record = sample.signed, record.utf8.count <= Self.mostSignedBytes else {
                    continue
                }
                let one = SignedReading(at: at, context: sample.context, record: record)
                switch sample.context {
                case .transactionBegin: Self.keep(one, &begins, Self.mostSignedAtAnEnd)
                case .transactionEnd:
                    Self.keep(one, &ends, .max)
                    ends = ends.suffix(Self.mostSignedAtAnEnd)
                case .interruptionBegin, .interruptionEnd, .other, .sampleClock, .samplePeriodic,
                    .trigger:
                    Self.keep(one, &others, Self.mostSignedBetween)
                }
            }
        }
        return begins + others + ends
    }

    private static let signedAPage = 500

    /// In order, page by page: a meter may sign each reading of a long charge.
    private func eachSigned(
        of session: String, in transaction: Transaction, _ body: (Timestamp, MeterReading) -> Void
    ) throws {
        var (last, finger) = (Int64.min, Int64.min)
        while true {
            let rows = try transaction.query(
                """
                SELECT at, finger, samples FROM meter_reading
                WHERE session = (SELECT key FROM session WHERE id = ?)
                AND at >= ? AND (at > ? OR finger > ?)
                AND (samples NOT LIKE ? OR REPLACE(samples, ?, '') LIKE ?)
                ORDER BY at, finger LIMIT ?
                """, session, last, last, finger, "%\u{1F}", "\u{1F}\u{1E}", "%\u{1E}%",
                Self.signedAPage)
            for row in rows {
                let at = try row.timestamp("at")
                body(at, try MeterReading(at: at, storedSamples: row.text("samples")))
            }
            guard rows.count == Self.signedAPage, let row = rows.last else { return }
            (last, finger) = (try row.int64("at"), try row.int64("finger"))
        }
    }

    /// Stations tell some records twice: as it was taken, and in the stop.
    private static func keep(_ one: SignedReading, _ kept: inout [SignedReading], _ most: Int) {
        guard kept.count < most, !kept.contains(where: { $0.record == one.record }) else { return }
        kept.append(one)
    }
}

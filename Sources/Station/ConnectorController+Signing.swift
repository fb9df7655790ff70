import Charging
import HAL
import Service

// A meter that signs is told of every charge and gives a record of it. The record rides on the stop;
// it decides nothing, and a charge whose meter cannot sign is charged and billed all the same. The
// stop goes to the disk at once. Only its telling waits for the record, and not for long.

extension ConnectorController {
    /// What the signing meter still has to be told.
    enum SigningOrder: Sendable {
        case begin(SignedCharge)
        case end(SignedCharge)
    }

    /// Where the record of one ended charge stands.
    struct Signing {
        var askedAt: Int64
        /// The meter gave its record, or said that there is none.
        var isAnswered = false
        var record: SignedRecord?
        /// The stop is on the disk.
        var isStopped = false
        /// It took too long; the stop is told without.
        var isLate = false
    }

    /// One charge begins and one ends; what is older nobody waits for.
    static let mostSigningOrders = 8

    /// True while a stop's telling waits for its record.
    var isAwaitingRecord: Bool { signings.values.contains { !$0.isAnswered && !$0.isLate } }

    /// The meter is told of a charge that has just begun.
    func beginSigning(_ charge: Int64, token: String) {
        guard devices.meter.signer != nil else { return }
        signingWriter.yield(
            .begin(SignedCharge(outlet: outlet, token: token, charge: charge)))
    }

    /// Has the charge's record fetched while its stop is written.
    func askForRecord(of stop: ConnectorMachine.Stop) {
        let charge = stop.transaction
        // A stop that the disk refused comes again.
        guard devices.meter.signer != nil, signings[charge] == nil else { return }
        let now = clock.monotonicMilliseconds
        // Of a meter that never answers the oldest are forgotten.
        if signings.count >= Self.mostSigningOrders,
            let oldest = signings.filter({ $0.value.isLate }).keys.min()
        {
            signings[oldest] = nil
        }
        signings[charge] = Signing(askedAt: now)
        journal.holdStop(of: charge, until: now + ConnectorTimings.signedRecordWaits)
        signingWriter.yield(
            .end(
                SignedCharge(
                    outlet: outlet, token: machine.transaction?.token ?? "", charge: charge)))
    }

    /// Serves one order after the other until it is cancelled: the meter has one transaction. However
    /// long the meter takes, nothing but the records waits for it.
    func sign() async {
        guard let signer = devices.meter.signer else { return }
        for await order in signingOrders {
            switch order {
            case .begin(let charge): await begin(charge, signer)
            case .end(let charge): await end(charge, signer)
            }
        }
    }

    private func begin(_ charge: SignedCharge, _ signer: any MeterSigner) async {
        do throws(MeterError) {
            if try await signer.begin(charge) != nil {
                log.warning("signed record of an unknown charge", ["connector": number])
            }
            log.info("charge signed from here", ["connector": number, "charge": charge.charge])
        } catch {
            log.warning(
                "charge not signed",
                ["connector": number, "charge": charge.charge, "reason": "\(error)"])
        }
    }

    private func end(_ charge: SignedCharge, _ signer: any MeterSigner) async {
        let id = charge.charge
        do throws(MeterError) {
            let record = try await signer.end(charge)
            signings[id]?.record = record
        } catch {
            log.warning(
                "charge without signed record",
                ["connector": number, "charge": id, "reason": "\(error)"])
        }
        if signings[id] == nil {
            log.error("signed record came too late", ["connector": number, "charge": id])
        }
        signings[id]?.isAnswered = true
        await settle(signing: id)
    }

    /// Writes a stop, with its record if that is there already.
    func write(_ stop: ConnectorMachine.Stop) async throws {
        let id = stop.transaction
        let record = signings[id]?.record
        try await journal.stop(stop, signed: record)
        signings[id]?.isStopped = true
        if record != nil { signings[id]?.record = nil }
        await settle(signing: id)
    }

    /// Once both are there the record joins its stop, and that may be told.
    private func settle(signing id: Int64) async {
        guard let signing = signings[id], signing.isAnswered, signing.isStopped else { return }
        signings[id] = nil
        if let record = signing.record {
            do {
                if try await !journal.attach(record, toStopOf: id) {
                    log.error(
                        "signed record came too late",
                        ["connector": number, "charge": id, "format": record.format])
                }
            } catch {
                log.error(
                    "signed record not kept",
                    ["connector": number, "charge": id, "error": String(describing: error)])
            }
        }
        journal.releaseStop(of: id)
        tellJournalled()
    }

    /// A meter that takes too long keeps nothing back: the stop is owed with or without. Its record
    /// still joins the stop if that is not told by then.
    func releaseUnsigned() {
        let now = clock.monotonicMilliseconds
        for (id, signing) in signings
        where !signing.isLate && !signing.isAnswered
            && now - signing.askedAt >= ConnectorTimings.signedRecordWaits
        {
            signings[id]?.isLate = true
            log.warning(
                "charge without signed record",
                ["connector": number, "charge": id, "reason": "it takes too long"])
            journal.releaseStop(of: id)
            tellJournalled()
        }
    }
}

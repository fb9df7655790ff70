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
    /// Tries to end what an earlier run left open, and the pause between two.
    private static let mostEndings = 5
    private static let endingPauses: Int64 = 2_000

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
        await endLeft(signer)
        for await order in signingOrders {
            switch order {
            case .begin(let charge): await begin(charge, signer)
            case .end(let charge): await end(charge, signer)
            }
        }
    }

    /// What an earlier run of the program left open in the meter: of a charge that is still open it goes
    /// on, of one whose stop is owed the record is fetched now. The next charge must not get it.
    private func endLeft(_ signer: any MeterSigner) async {
        let left: SignedCharge
        do {
            guard let found = try await chargeLeft() else { return }
            left = found
        } catch {
            log.warning("signed charge not read", ["error": String(describing: error)])
            return
        }
        if left.charge == recoveredCharge {
            signedCharge = left.charge
            return
        }
        var record: SignedRecord?
        for attempt in 1...Self.mostEndings {
            do throws(MeterError) {
                record = try await signer.end(left)
                break
            } catch {
                if Task.isCancelled { return }
                let why = "\(error)"
                log.warning(
                    "charge without signed record",
                    ["connector": number, "charge": left.charge, "reason": why])
                // The bus may not be there yet; what the meter refuses it refuses again.
                if case .notSigned = error { break }
                guard attempt < Self.mostEndings else { break }
                do { try await clock.sleep(milliseconds: Self.endingPauses) } catch { return }
            }
        }
        await settle(record, ofLeft: left.charge)
    }

    /// The charge that the meter has open, as far as that is written down.
    private func chargeLeft() async throws -> SignedCharge? {
        guard let told = try await journal.signedCharge(of: number) else {
            if try await !journal.isSigningKept(of: number) { await takeUpUnwritten() }
            return nil
        }
        if try await journal.isSignedLongAgo(told, of: number) {
            await takeUpUnwritten()
            journal.releaseStop(of: told)
            tellJournalled()
            return nil
        }
        let token = try await journal.token(ofCharge: told)
        return SignedCharge(outlet: outlet, token: token ?? "", charge: told)
    }

    /// A program that wrote nothing down has been here, such as the one before an update, and told the
    /// meter of whatever charge is open. From here on it is written down.
    private func takeUpUnwritten() async {
        signedCharge = recoveredCharge
        do { try await journal.setSigned(recoveredCharge, of: number) } catch {
            // The next start finds the same.
            log.warning("signed charge not kept", ["error": String(describing: error)])
        }
    }

    private func settle(_ record: SignedRecord?, ofLeft charge: Int64) async {
        do {
            var isKept = false
            if let record { isKept = try await journal.attach(record, toStopOf: charge) }
            if isKept {
                log.notice("signed record fetched", ["connector": number, "charge": charge])
            } else {
                let why =
                    record == nil ? "its meter gave none" : "it came after the stop was told"
                log.error(
                    "charge without signed record",
                    ["connector": number, "charge": charge, "reason": why])
                try await journal.leaveNotice(
                    "connector \(number): charge \(charge) has no signed record: \(why)")
            }
        } catch {
            log.error(
                "signed record not kept",
                ["connector": number, "charge": charge, "error": String(describing: error)])
        }
        await forgetSigned()
        journal.releaseStop(of: charge)
        tellJournalled()
    }

    private func begin(_ charge: SignedCharge, _ signer: any MeterSigner) async {
        signedCharge = nil
        do throws(MeterError) {
            if try await signer.begin(charge) != nil {
                log.warning("signed record of an unknown charge", ["connector": number])
            }
        } catch {
            return log.warning(
                "charge not signed",
                ["connector": number, "charge": charge.charge, "reason": "\(error)"])
        }
        signedCharge = charge.charge
        log.info("charge signed from here", ["connector": number, "charge": charge.charge])
        do { try await journal.setSigned(charge.charge, of: number) } catch {
            // Only the next start would need it.
            log.warning("signed charge not kept", ["error": String(describing: error)])
        }
    }

    private func end(_ charge: SignedCharge, _ signer: any MeterSigner) async {
        let id = charge.charge
        // Whose transaction is open in a meter that did not begin this one? It is ended, so that the next
        // begins anew, and its record is nobody's.
        let isOwn = signedCharge == id
        do throws(MeterError) {
            let record = try await signer.end(
                isOwn ? charge : SignedCharge(outlet: outlet, token: "", charge: 0))
            if isOwn {
                signings[id]?.record = record
            } else {
                log.error("signed record of an unknown charge", ["connector": number])
            }
        } catch {
            // The program ends; the next start fetches it.
            if isOwn, Task.isCancelled { return }
            log.warning(
                "charge without signed record",
                ["connector": number, "charge": id, "reason": "\(error)"])
        }
        if signings[id] == nil {
            log.error("signed record came too late", ["connector": number, "charge": id])
        }
        signedCharge = nil
        signings[id]?.isAnswered = true
        await settle(signing: id)
    }

    private func forgetSigned() async {
        do { try await journal.setSigned(nil, of: number) } catch {
            // The next start asks the meter in vain and says so.
            log.warning("signed charge not forgotten", ["error": String(describing: error)])
        }
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
        // A later charge may be the meter's by now.
        if signedCharge == nil { await forgetSigned() }
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

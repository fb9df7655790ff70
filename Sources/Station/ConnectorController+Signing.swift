import Charging
import HAL
import Service

// A meter that signs is told of every charge and gives a record of it. The record rides on the stop;
// it decides nothing, and a charge whose meter cannot sign is charged and billed all the same.

extension ConnectorController {
    /// What the signing meter still has to be told.
    enum SigningOrder: Sendable {
        case begin(SignedCharge)
        case end(SignedCharge, ConnectorMachine.Stop)
    }

    /// One charge begins and one ends; what is older nobody waits for.
    static let mostSigningOrders = 8

    /// The meter is told of a charge that has just begun.
    func beginSigning(_ charge: Int64, token: String) {
        guard devices.meter.signer != nil else { return }
        signingWriter.yield(
            .begin(SignedCharge(outlet: outlet, token: token, charge: charge)))
    }

    /// Has the charge's record fetched before its stop is written; false when there is nothing to
    /// wait for.
    func awaitsSignature(_ stop: ConnectorMachine.Stop) -> Bool {
        guard devices.meter.signer != nil, signedRecords[stop.transaction] == nil else {
            return false
        }
        signingWriter.yield(
            .end(
                SignedCharge(
                    outlet: outlet, token: machine.transaction?.token ?? "",
                    charge: stop.transaction), stop))
        return true
    }

    /// Serves one order after the other until it is cancelled: the meter has one transaction.
    func sign() async {
        guard let signer = devices.meter.signer else { return }
        for await order in signingOrders {
            switch order {
            case .begin(let charge): await begin(charge, signer)
            case .end(let charge, let stop):
                await end(charge, stop, signer)
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

    /// The stop waits for its record, but not for long: it is owed with or without.
    private func end(
        _ charge: SignedCharge, _ stop: ConnectorMachine.Stop, _ signer: any MeterSigner
    ) async {
        switch await record(of: charge, signer) {
        case .success(let record): signedRecords[charge.charge] = record
        case .failure(let error):
            log.warning(
                "charge without signed record",
                ["connector": number, "charge": charge.charge, "reason": "\(error)"])
        }
        writes.append(.stop(stop))
        writeSignal.yield()
    }

    private func record(
        of charge: SignedCharge, _ signer: any MeterSigner
    ) async -> Result<SignedRecord, MeterError> {
        let clock = clock
        return await withTaskGroup(of: Result<SignedRecord, MeterError>.self) { group in
            group.addTask {
                do throws(MeterError) {
                    return .success(try await signer.end(charge))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                // Cancelled as soon as the record is there.
                try? await clock.sleep(milliseconds: ConnectorTimings.signedRecordWaits)
                return .failure(.notSigned("it takes too long"))
            }
            let first = await group.next() ?? .failure(.notSigned("nobody asked"))
            group.cancelAll()
            return first
        }
    }
}

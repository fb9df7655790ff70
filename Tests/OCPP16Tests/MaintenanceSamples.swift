import Charging

@testable import OCPP16

/// Every value of firmware, logs, security events and certificates that 1.6 can carry.
enum MaintenanceSamples {
    static let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    static let hash = CertificateHash(
        algorithm: .sha256, issuerName: String(repeating: "0a", count: 32),
        issuerKey: String(repeating: "f9", count: 32), serial: "1f")

    static var reports: [MaintenanceReport] {
        var reports: [MaintenanceReport] = []
        reports += FirmwareStatusNotification.words.map { .firmware($0) }
        for (status, request) in Samples.all(FirmwareStatus.allCases, [nil, 7]) {
            reports.append(.signedFirmware(status, requestID: request))
        }
        for (status, request) in Samples.all(UploadStatus.allCases, [nil, 8]) {
            reports.append(.log(status, requestID: request))
        }
        reports += [UploadStatus.idle, .uploading, .uploaded, .failed].map { .diagnostics($0) }
        for (kind, info) in Samples.all(
            SecurityEvent.Kind.allCases.map(\.rawValue) + ["SomethingNew"], [nil, "1.2 → 1.3"])
        {
            reports.append(.security(SecurityEvent(type: kind, at: Samples.noon, info: info)))
        }
        return reports + [.certificateRequested(csr: pem)]
    }

    static var replies: [(StationEvent, StationReply)] {
        reports.filter { if case .certificateRequested = $0 { false } else { true } }
            .map { (.maintenance($0), .noted) }
            + [true, false].map {
                (
                    .maintenance(.certificateRequested(csr: pem)),
                    .certificateRequested(isAccepted: $0)
                )
            }
    }

    private static var transfers: [TransferOrder] {
        Samples.all([nil, 0, 3], [nil, 60]).map {
            TransferOrder(
                location: "https://files.example.org/a?b=c", retries: $0.0, retrySeconds: $0.1)
        }
    }

    static var orders: [MaintenanceOrder] {
        var orders: [MaintenanceOrder] = []
        for transfer in transfers {
            orders.append(
                .updateFirmware(FirmwareOrder(transfer: transfer, retrieveAt: Samples.noon)))
            for installAt in [nil, Samples.later] {
                orders.append(
                    .updateFirmware(
                        FirmwareOrder(
                            transfer: transfer, retrieveAt: Samples.noon,
                            signed: FirmwareOrder.Signed(
                                requestID: 9, installAt: installAt, certificate: pem,
                                signature: "c2lnbmF0dXJl"))))
            }
            for (from, until) in Samples.all([nil, Samples.noon], [nil, Samples.later]) {
                func log(_ kind: LogKind, _ request: Int?) -> MaintenanceOrder {
                    .sendLog(
                        LogOrder(
                            kind: kind, transfer: transfer, requestID: request, from: from,
                            until: until))
                }
                orders += [log(.diagnostics, nil), log(.diagnostics, 1), log(.security, 2)]
            }
        }
        orders += [.certificateSigned(chain: pem + pem), .deleteCertificate(hash)]
        for kind in RootKind.allCases {
            orders += [.installRoot(kind, pem: pem), .listRoots(kind)]
        }
        return orders
            + Samples.all(ExtendedTriggerMessage.triggers.sorted(), [nil, 1]).map {
                .trigger(message: $0.0, connector: $0.1)
            }
    }

    static var answers: [(StationCommand, CommandAnswer)] {
        var pairs: [(StationCommand, CommandAnswer)] = []
        func add(_ order: MaintenanceOrder, _ words: StatusAnswer) {
            for word in words.words { pairs.append((.maintenance(order), .status(word))) }
        }
        for order in orders {
            switch order {
            case .updateFirmware(let firmware) where firmware.signed == nil:
                pairs.append((.maintenance(order), .maintenance(.taken)))
            case .sendLog(let log) where log.requestID == nil:
                for name in [nil, "kerb.txt"] {
                    pairs.append(
                        (.maintenance(order), .maintenance(.log(status: nil, fileName: name))))
                }
            case .sendLog:
                for (word, name) in Samples.all(GetLog.answer.words, [nil, "kerb.txt"]) {
                    pairs.append(
                        (.maintenance(order), .maintenance(.log(status: word, fileName: name))))
                }
            case .listRoots:
                for roots in [[], [hash], [hash, hash]] {
                    pairs.append((.maintenance(order), .maintenance(.roots(roots))))
                }
            case .updateFirmware: add(order, SignedUpdateFirmware.answer)
            case .certificateSigned: add(order, CertificateSigned.answer)
            case .installRoot: add(order, InstallCertificate.answer)
            case .deleteCertificate: add(order, DeleteCertificate.answer)
            case .trigger: add(order, ExtendedTriggerMessage.answer)
            }
        }
        return pairs
    }
}

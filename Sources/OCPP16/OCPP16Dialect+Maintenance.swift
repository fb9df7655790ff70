import Charging
import JSON
import OCPP

/// Firmware, logs, security events and certificates: OCPP 1.6 §4.4, §4.5, §5.9, §5.19 and the
/// security white paper's §6, both directions.
enum Maintenance {
    private static func request(_ action: String, _ write: (inout JSONWriter) -> Void)
        -> CallRequest
    {
        var writer = JSONWriter(reserving: 256)
        write(&writer)
        return CallRequest(action: action, payload: writer.bytes)
    }

    // MARK: Station to operator

    static func request(for report: MaintenanceReport) throws(DialectError) -> CallRequest {
        switch report {
        case .firmware(let status):
            guard FirmwareStatusNotification.words.contains(status) else {
                throw .unfit(field: "status")
            }
            return request(FirmwareStatusNotification.action) {
                FirmwareStatusNotification.write(status, &$0)
            }
        case .signedFirmware(let status, let requestID):
            return request(SignedFirmwareStatusNotification.action) {
                SignedFirmwareStatusNotification.write(status, requestID, &$0)
            }
        case .diagnostics(let status):
            return request(DiagnosticsStatusNotification.action) {
                DiagnosticsStatusNotification.write(status, &$0)
            }
        case .log(let status, let requestID):
            return request(LogStatusNotification.action) {
                LogStatusNotification.write(status, requestID, &$0)
            }
        case .security(let event):
            guard let at = event.at else { throw .missing(field: "timestamp") }
            return request(SecurityEventNotification.action) {
                SecurityEventNotification.write(event, at: at, &$0)
            }
        case .certificateRequested(let csr):
            guard csr.unicodeScalars.count <= SignCertificate.requestCharacters else {
                throw .unfit(field: "csr")
            }
            return request(SignCertificate.action) { SignCertificate.write(csr, &$0) }
        }
    }

    /// nil where the action is none of these, or says what no version knows.
    static func event(action: String, payload: RawSpan) throws(CallError)
        -> Decoded<StationEvent>?
    {
        switch action {
        case FirmwareStatusNotification.action:
            try FirmwareStatusNotification.event(in: payload)
        case SignedFirmwareStatusNotification.action:
            try SignedFirmwareStatusNotification.event(in: payload)
        case DiagnosticsStatusNotification.action:
            try DiagnosticsStatusNotification.event(in: payload)
        case LogStatusNotification.action: try LogStatusNotification.event(in: payload)
        case SecurityEventNotification.action: try SecurityEventNotification.event(in: payload)
        case SignCertificate.action: try SignCertificate.event(in: payload)
        default: nil
        }
    }

    static func reply(in payload: RawSpan, to report: MaintenanceReport) throws(CallError)
        -> Decoded<StationReply>
    {
        if case .certificateRequested = report { return try SignCertificate.reply(in: payload) }
        let fields = try FieldReader.read(payload) { r, _, f throws(JSONError) in
            try f.unknown(&r)
        }
        return Decoded(.noted, fields.deviations)
    }

    // MARK: Operator to station

    static func request(for order: MaintenanceOrder) throws(DialectError) -> CallRequest {
        switch order {
        case .updateFirmware(let order): return try request(for: order)
        case .sendLog(let order): return try request(for: order)
        case .certificateSigned(let chain):
            try check(chain, CertificateSigned.chainCharacters, "certificateChain")
            return request(CertificateSigned.action) { CertificateSigned.write(chain, &$0) }
        case .installRoot(let kind, let pem):
            try check(pem, InstallCertificate.certificateCharacters, "certificate")
            return request(InstallCertificate.action) { InstallCertificate.write(kind, pem, &$0) }
        case .deleteCertificate(let hash):
            try check(hash.issuerName, DeleteCertificate.hashCharacters, "issuerNameHash")
            try check(hash.issuerKey, DeleteCertificate.hashCharacters, "issuerKeyHash")
            try check(hash.serial, DeleteCertificate.serialCharacters, "serialNumber")
            return request(DeleteCertificate.action) {
                DeleteCertificate.write(deletion: hash, &$0)
            }
        case .listRoots(let kind):
            return request(GetInstalledCertificateIds.action) {
                GetInstalledCertificateIds.write(kind, &$0)
            }
        case .trigger(let message, let connector):
            guard ExtendedTriggerMessage.triggers.contains(message) else {
                throw .unfit(field: "requestedMessage")
            }
            return request(ExtendedTriggerMessage.action) {
                ExtendedTriggerMessage.write(message, connector, &$0)
            }
        }
    }

    private static func request(for order: FirmwareOrder) throws(DialectError) -> CallRequest {
        try check(order.transfer.location, TransferFields.locationCharacters, "location")
        guard let at = order.retrieveAt else { throw .missing(field: "retrieveDate") }
        guard let signed = order.signed else {
            return request(UpdateFirmware.action) { UpdateFirmware.write(order, at: at, &$0) }
        }
        try check(
            signed.certificate, SignedUpdateFirmware.certificateCharacters, "signingCertificate")
        try check(signed.signature, SignedUpdateFirmware.signatureCharacters, "signature")
        return request(SignedUpdateFirmware.action) {
            SignedUpdateFirmware.write(order, signed, at: at, &$0)
        }
    }

    private static func request(for order: LogOrder) throws(DialectError) -> CallRequest {
        try check(order.transfer.location, TransferFields.locationCharacters, "location")
        if let requestID = order.requestID {
            return request(GetLog.action) { GetLog.write(order, requestID, &$0) }
        }
        guard order.kind == .diagnostics else { throw .missing(field: "requestId") }
        return request(GetDiagnostics.action) { GetDiagnostics.write(order, &$0) }
    }

    private static func check(_ text: String, _ maximum: Int, _ field: String)
        throws(DialectError)
    {
        guard text.unicodeScalars.count <= maximum else { throw .unfit(field: field) }
    }

    /// nil where the action is none of these.
    static func command(action: String, payload: RawSpan) throws(CallError)
        -> Decoded<StationCommand>?
    {
        switch action {
        case UpdateFirmware.action: try UpdateFirmware.command(in: payload)
        case SignedUpdateFirmware.action: try SignedUpdateFirmware.command(in: payload)
        case GetDiagnostics.action: try GetDiagnostics.command(in: payload)
        case GetLog.action: try GetLog.command(in: payload)
        case CertificateSigned.action: try CertificateSigned.command(in: payload)
        case InstallCertificate.action: try InstallCertificate.command(in: payload)
        case DeleteCertificate.action: try DeleteCertificate.command(in: payload)
        case GetInstalledCertificateIds.action:
            try GetInstalledCertificateIds.command(in: payload)
        case ExtendedTriggerMessage.action: try ExtendedTriggerMessage.command(in: payload)
        default: nil
        }
    }

    static func write(_ answer: MaintenanceAnswer, _ writer: inout JSONWriter) {
        switch answer {
        case .taken: writer.object { _ in }
        case .log(nil, let name): GetDiagnostics.write(name, &writer)
        case .log(let status?, let name): GetLog.write(status, name, &writer)
        case .roots(let roots): GetInstalledCertificateIds.write(roots, &writer)
        }
    }

    static func answer(in payload: RawSpan, to order: MaintenanceOrder) throws(CallError)
        -> Decoded<CommandAnswer>
    {
        switch order {
        case .updateFirmware(let firmware) where firmware.signed == nil:
            let fields = try FieldReader.read(payload) { r, _, f throws(JSONError) in
                try f.unknown(&r)
            }
            return Decoded(.maintenance(.taken), fields.deviations)
        case .sendLog(let log):
            return try log.requestID == nil
                ? GetDiagnostics.answer(in: payload) : GetLog.answer(in: payload)
        case .listRoots: return try GetInstalledCertificateIds.answer(in: payload)
        case .updateFirmware, .certificateSigned, .installRoot, .deleteCertificate, .trigger:
            return try statusAnswer(to: order).read(payload)
        }
    }

    static func statusAnswer(to order: MaintenanceOrder) -> StatusAnswer {
        switch order {
        case .updateFirmware: SignedUpdateFirmware.answer
        case .sendLog, .listRoots: GetLog.answer
        case .certificateSigned: CertificateSigned.answer
        case .installRoot: InstallCertificate.answer
        case .deleteCertificate: DeleteCertificate.answer
        case .trigger: ExtendedTriggerMessage.answer
        }
    }
}

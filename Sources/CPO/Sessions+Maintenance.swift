import Charging
import JSON
import SQL

extension Sessions {
    /// Of a certificate request, as much is kept as OCPP lets one have.
    private static let requestCharacters = 5500

    /// Keeps what a station tells of its upkeep and says what to answer.
    ///
    /// Security events of any kind are kept as they came, each once, and the newest of a flood; a request for a certificate is kept too and
    /// refused, because an operator without an authority cannot keep a promise to sign it.
    func maintained(
        _ report: MaintenanceReport, at station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> StationReply {
        let journal = stores.journal
        func note(_ kind: JournalLine.Kind, _ body: JSONValue) throws {
            try journal.append(kind, station, body, at: receivedAt, in: transaction)
        }
        switch report {
        case .firmware(let status):
            try note(.stationFirmware, ["status": .string(status.rawValue)])
            try firmware(status, nil, station, receivedAt, in: transaction)
        case .signedFirmware(let status, let request):
            try note(
                .stationFirmware,
                .members(["status": .string(status.rawValue), "request": .int(request)]))
            try firmware(status, request, station, receivedAt, in: transaction)
        case .diagnostics(let status):
            try note(.stationLog, ["status": .string(status.rawValue)])
            try log(status, nil, station, receivedAt, in: transaction)
        case .log(let status, let request):
            try note(
                .stationLog,
                .members(["status": .string(status.rawValue), "request": .int(request)]))
            try log(status, request, station, receivedAt, in: transaction)
        case .security(let event):
            let isDue = try stores.stations.told(
                event, by: station, receivedAt: receivedAt, in: transaction)
            guard isDue else { return .noted }
            try note(
                .stationSecurity,
                .members([
                    "type": .string(event.type), "at": .moment(event.at), "info": .text(event.info),
                ]))
        case .certificateRequested(let csr):
            try note(
                .stationCertificateRequested,
                ["csr": .string(String(csr.prefix(Self.requestCharacters)))])
            return .certificateRequested(isAccepted: false)
        }
        return .noted
    }

    private func firmware(
        _ status: FirmwareStatus, _ request: Int?, _ station: String, _ at: Timestamp,
        in transaction: Transaction
    ) throws {
        try Campaigns.heard(status, request, from: station, at: at, in: transaction)
        switch status {
        case .installed, .installationFailed, .downloadFailed, .invalidSignature,
            .installVerificationFailed:
            try stores.commands.saw(
                "updateFirmware", station: station, effect: status.rawValue, at: at,
                in: transaction
            ) { command in
                guard case .maintenance(.updateFirmware(let order)) = command.command else {
                    return false
                }
                return order.signed?.requestID == request
            }
        case .downloaded, .downloading, .downloadScheduled, .downloadPaused, .idle, .installing,
            .installRebooting, .installScheduled, .signatureVerified:
            break
        }
    }

    private func log(
        _ status: UploadStatus, _ request: Int?, _ station: String, _ at: Timestamp,
        in transaction: Transaction
    ) throws {
        guard status != .idle, status != .uploading else { return }
        try stores.commands.saw(
            "sendLog", station: station, effect: status.rawValue, at: at, in: transaction
        ) { command in
            guard case .maintenance(.sendLog(let order)) = command.command else { return false }
            return order.requestID == request
        }
    }
}

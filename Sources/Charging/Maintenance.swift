/// Where a file is fetched from or sent to, and how often to try. Nothing in it is trusted.
package struct TransferOrder: Hashable, Sendable {
    /// A URL as the operator wrote it.
    package var location: String
    /// Tries after the first; nil leaves it to the station.
    package var retries: Int?
    /// Between two tries; nil leaves it to the station.
    package var retrySeconds: Int?

    package init(location: String, retries: Int? = nil, retrySeconds: Int? = nil) {
        self.location = location
        self.retries = retries
        self.retrySeconds = retrySeconds
    }
}

/// The operator wants another firmware on the station. OCPP 1.6 §5.19, security white paper §5.1.
package struct FirmwareOrder: Hashable, Sendable {
    /// What a signed update has besides.
    package struct Signed: Hashable, Sendable {
        package var requestID: Int
        /// nil means at once.
        package var installAt: Timestamp?
        /// PEM of the certificate that signed the file.
        package var certificate: String
        /// Base64 over the file's SHA-256.
        package var signature: String

        package init(
            requestID: Int, installAt: Timestamp? = nil, certificate: String, signature: String
        ) {
            self.requestID = requestID
            self.installAt = installAt
            self.certificate = certificate
            self.signature = signature
        }
    }

    package var transfer: TransferOrder
    /// Not before this; nil where none could be read, which means at once.
    package var retrieveAt: Timestamp?
    /// nil for an update without signature.
    package var signed: Signed?

    package init(transfer: TransferOrder, retrieveAt: Timestamp?, signed: Signed? = nil) {
        self.transfer = transfer
        self.retrieveAt = retrieveAt
        self.signed = signed
    }
}

/// Which log. Raw values are the security white paper's §5.3.
package enum LogKind: String, Hashable, Sendable, CaseIterable {
    case diagnostics = "DiagnosticsLog"
    case security = "SecurityLog"
}

/// The operator wants a log uploaded. OCPP 1.6 §5.9, security white paper §5.3.
package struct LogOrder: Hashable, Sendable {
    package var kind: LogKind
    package var transfer: TransferOrder
    /// nil for GetDiagnostics, which has none and knows one kind of log.
    package var requestID: Int?
    package var from: Timestamp?
    package var until: Timestamp?

    package init(
        kind: LogKind, transfer: TransferOrder, requestID: Int?, from: Timestamp? = nil,
        until: Timestamp? = nil
    ) {
        self.kind = kind
        self.transfer = transfer
        self.requestID = requestID
        self.from = from
        self.until = until
    }
}

/// What a trusted root vouches for. Raw values are the security white paper's §6.
package enum RootKind: String, Hashable, Sendable, CaseIterable {
    case centralSystem = "CentralSystemRootCertificate"
    case manufacturer = "ManufacturerRootCertificate"
}

/// How a certificate is named without showing it: hashes as of OCSP, in lower-case hexadecimal.
package struct CertificateHash: Hashable, Sendable {
    package enum Algorithm: String, Hashable, Sendable, CaseIterable {
        case sha256 = "SHA256"
        case sha384 = "SHA384"
        case sha512 = "SHA512"
    }

    package var algorithm: Algorithm
    package var issuerName: String
    package var issuerKey: String
    package var serial: String

    package init(algorithm: Algorithm, issuerName: String, issuerKey: String, serial: String) {
        self.algorithm = algorithm
        self.issuerName = issuerName
        self.issuerKey = issuerKey
        self.serial = serial
    }
}

/// What the operator asks for the station's upkeep.
package enum MaintenanceOrder: Hashable, Sendable {
    case updateFirmware(FirmwareOrder)
    case sendLog(LogOrder)
    /// The answer to a request for a certificate: leaf first, PEM.
    case certificateSigned(chain: String)
    case installRoot(RootKind, pem: String)
    case deleteCertificate(CertificateHash)
    case listRoots(RootKind)
    /// The trigger of the security extension, which knows more messages.
    case trigger(message: String, connector: ConnectorNumber?)
}

/// A station's answer to a `MaintenanceOrder` where one word does not do.
package enum MaintenanceAnswer: Hashable, Sendable {
    /// Taken note of; what comes of it is reported later.
    case taken
    /// `status` is absent where the version's answer has none.
    case log(status: String?, fileName: String?)
    /// None means that none is installed.
    case roots([CertificateHash])
}

/// How far an update is. Raw values are the security white paper's §6; 1.6 itself knows seven.
package enum FirmwareStatus: String, Hashable, Sendable, CaseIterable {
    case downloaded = "Downloaded"
    case downloadFailed = "DownloadFailed"
    case downloading = "Downloading"
    case downloadScheduled = "DownloadScheduled"
    case downloadPaused = "DownloadPaused"
    case idle = "Idle"
    case installationFailed = "InstallationFailed"
    case installing = "Installing"
    case installed = "Installed"
    case installRebooting = "InstallRebooting"
    case installScheduled = "InstallScheduled"
    case installVerificationFailed = "InstallVerificationFailed"
    case invalidSignature = "InvalidSignature"
    case signatureVerified = "SignatureVerified"
}

/// How far an upload is.
package enum UploadStatus: String, Hashable, Sendable, CaseIterable {
    case idle = "Idle"
    case uploading = "Uploading"
    case uploaded = "Uploaded"
    case failed = "UploadFailure"
    case badMessage = "BadMessage"
    case notSupported = "NotSupportedOperation"
    case permissionDenied = "PermissionDenied"
}

/// Something a security officer wants to know of. Security white paper §4.
package struct SecurityEvent: Hashable, Sendable {
    /// The list of the white paper; a peer's own kinds are kept as they come.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case firmwareUpdated = "FirmwareUpdated"
        case failedToAuthenticateAtCentralSystem = "FailedToAuthenticateAtCentralSystem"
        case centralSystemFailedToAuthenticate = "CentralSystemFailedToAuthenticate"
        case settingSystemTime = "SettingSystemTime"
        case startupOfTheDevice = "StartupOfTheDevice"
        case resetOrReboot = "ResetOrReboot"
        case securityLogWasCleared = "SecurityLogWasCleared"
        case reconfigurationOfSecurityParameters = "ReconfigurationOfSecurityParameters"
        case memoryExhaustion = "MemoryExhaustion"
        case invalidMessages = "InvalidMessages"
        case attemptedReplayAttacks = "AttemptedReplayAttacks"
        case tamperDetectionActivated = "TamperDetectionActivated"
        case invalidFirmwareSignature = "InvalidFirmwareSignature"
        case invalidFirmwareSigningCertificate = "InvalidFirmwareSigningCertificate"
        case invalidCentralSystemCertificate = "InvalidCentralSystemCertificate"
        case invalidChargePointCertificate = "InvalidChargePointCertificate"
        case invalidTLSVersion = "InvalidTLSVersion"
        case invalidTLSCipherSuite = "InvalidTLSCipherSuite"

        /// Whether a person must look: traces that went, a tampered device, forged firmware, a line that
        /// somebody may sit on. What the white paper calls critical besides comes with each boot, clock and
        /// update; an alert for those would bury the others.
        package var isAlarming: Bool {
            switch self {
            case .securityLogWasCleared, .memoryExhaustion, .tamperDetectionActivated,
                .invalidFirmwareSignature, .invalidFirmwareSigningCertificate,
                .invalidCentralSystemCertificate, .invalidChargePointCertificate,
                .invalidTLSVersion, .invalidTLSCipherSuite:
                true
            case .firmwareUpdated, .failedToAuthenticateAtCentralSystem,
                .centralSystemFailedToAuthenticate, .settingSystemTime, .startupOfTheDevice,
                .resetOrReboot, .reconfigurationOfSecurityParameters, .invalidMessages,
                .attemptedReplayAttacks:
                false
            }
        }
    }

    /// One of `Kind`, or whatever a peer calls it.
    package var type: String
    package var at: Timestamp?
    package var info: String?

    package init(type: String, at: Timestamp?, info: String? = nil) {
        self.type = type
        self.at = at
        self.info = info
    }

    package init(_ kind: Kind, at: Timestamp?, info: String? = nil) {
        self.init(type: kind.rawValue, at: at, info: info)
    }
}

/// What a station tells of its upkeep.
package enum MaintenanceReport: Hashable, Sendable {
    case firmware(FirmwareStatus)
    /// `requestID` is absent when nothing was ever asked for.
    case signedFirmware(FirmwareStatus, requestID: Int?)
    case diagnostics(UploadStatus)
    case log(UploadStatus, requestID: Int?)
    case security(SecurityEvent)
    /// A PKCS 10 request in PEM, to be answered later with the certificate.
    case certificateRequested(csr: String)
}

/// The configuration keys of an OCPP version: what each is, and what may be written. OCPP 1.6 §9.
package struct SettingsCatalogue: Sendable {
    /// A setting in Kerb's words, whatever a version calls it.
    package enum Meaning: Hashable, Sendable, CaseIterable {
        case allowOfflineTransactionForUnknownToken, authorizationCacheEnabled
        case authorizeRemoteStart, clockAlignedIntervalSeconds, connectionTimeoutSeconds
        case connectorCount, heartbeatIntervalSeconds, localAuthorizeOffline
        case localPreAuthorize, measurandsAligned, measurandsSampled, measurandsStopAligned
        case measurandsStopSampled, meterSampleIntervalSeconds, minimumStatusDurationSeconds
        case maximumKeysPerRead, resetRetries, stopOnVehicleDisconnect, stopOnInvalidToken
        case supportedProfiles, transactionMessageAttempts, transactionMessageRetrySeconds
        case unlockOnVehicleDisconnect, webSocketPingSeconds, basicAuthPassword, securityProfile
        case operatorName, transferProtocols
        case additionalRootCheck, certificateChainCharacters, certificateStoreCount
        case localListEnabled, localListMaximum, localListUpdateMaximum
        case blinkRepeat, lightIntensityPercent, phaseRotation, phaseRotationMaximum
        case maximumEnergyOnInvalidTokenWh, reserveConnectorZero, supportedProfilesMaximum
        case measurandsAlignedMaximum, measurandsSampledMaximum, measurandsStopAlignedMaximum
        case measurandsStopSampledMaximum
        case profileStackLevel, profileUnits, profilePeriods, profileCount, switchesPhases
    }

    package enum Kind: Hashable, Sendable {
        case boolean
        case integer(ClosedRange<Int>)
        /// A comma list; empty allows any text in it.
        case list(of: Set<String>)
        /// A comma list of words, each with one of the suffixes or without.
        case suffixed(list: Set<String>, by: Set<String>)
        case text(maximum: Int)
        /// A secret of so many hexadecimal digits, two to a byte.
        case hexadecimal(digits: ClosedRange<Int>)
    }

    package enum Access: Hashable, Sendable { case readOnly, readWrite, writeOnly }

    package struct Definition: Hashable, Sendable {
        package var key: String
        package var meaning: Meaning?
        package var kind: Kind
        package var access: Access
        /// The value until somebody writes another; nil where only the station knows.
        package var standard: String?
        package var needsReboot: Bool
        /// False for a key of the standard that says something of hardware no board of ours has: it is
        /// answered as unknown.
        package var isOffered: Bool

        package init(
            _ key: String, _ meaning: Meaning?, _ kind: Kind, _ access: Access = .readWrite,
            standard: String? = nil, needsReboot: Bool = false, isOffered: Bool = true
        ) {
            self.key = key
            self.meaning = meaning
            self.kind = kind
            self.access = access
            self.standard = standard
            self.needsReboot = needsReboot
            self.isOffered = isOffered
        }
    }

    /// What a write comes to. OCPP 1.6 §5.3.
    package enum Verdict: Hashable, Sendable {
        /// The value in the catalogue's spelling.
        case accepted(String, needsReboot: Bool)
        /// Unknown key.
        case notSupported
        /// Read-only, or a value outside its kind.
        case rejected
    }

    package let definitions: [Definition]
    private let byKey: [String: Int]
    private let byMeaning: [Meaning: Int]

    package init(_ definitions: [Definition]) {
        self.definitions = definitions
        byKey = Dictionary(
            zip(definitions.map { $0.key.lowercased() }, definitions.indices),
            uniquingKeysWith: { first, _ in first })
        byMeaning = Dictionary(
            definitions.indices.compactMap { at in definitions[at].meaning.map { ($0, at) } },
            uniquingKeysWith: { first, _ in first })
    }

    /// Keys are compared ignoring case.
    package subscript(key key: String) -> Definition? {
        byKey[key.lowercased()].map { definitions[$0] }
    }

    package subscript(meaning: Meaning) -> Definition? {
        byMeaning[meaning].map { definitions[$0] }
    }

    package func verdict(on value: String, for key: String) -> Verdict {
        guard let definition = self[key: key] else { return .notSupported }
        guard definition.access != .readOnly, let tidy = Self.tidy(value, definition.kind)
        else { return .rejected }
        return .accepted(tidy, needsReboot: definition.needsReboot)
    }

    /// A number of a key at the nearest end of its range; everything else as it is.
    package func nearest(to value: String, for key: String) -> String {
        guard case .integer(let range) = self[key: key]?.kind, let number = Int(value) else {
            return value
        }
        return String(min(max(number, range.lowerBound), range.upperBound))
    }

    private static func tidy(_ value: String, _ kind: Kind) -> String? {
        switch kind {
        case .boolean:
            let text = value.lowercased()
            return text == "true" || text == "false" ? text : nil
        case .integer(let range):
            guard let number = Int(value), range.contains(number) else { return nil }
            return String(number)
        case .text(let maximum):
            return value.unicodeScalars.count <= maximum ? value : nil
        case .hexadecimal(let digits):
            let isFitting =
                digits.contains(value.utf8.count) && value.utf8.count % 2 == 0
                && value.allSatisfy { $0.isASCII && $0.isHexDigit }
            return isFitting ? value : nil
        case .suffixed(let allowed, let suffixes):
            let parts = value.split(separator: ",").map { $0.filter { $0 != " " } }
            let areKnown = parts.allSatisfy { part in
                allowed.contains(part)
                    || suffixes.contains {
                        part.hasSuffix("." + $0)
                            && allowed.contains(String(part.dropLast($0.count + 1)))
                    }
            }
            return areKnown ? parts.joined(separator: ",") : nil
        case .list(let allowed):
            let parts = value.split(separator: ",").map { $0.filter { $0 != " " } }
            // One unsupported member refuses the whole list.
            guard allowed.isEmpty || parts.allSatisfy(allowed.contains) else { return nil }
            return parts.joined(separator: ",")
        }
    }
}

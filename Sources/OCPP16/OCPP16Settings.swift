import OCPP

extension SettingsCatalogue {
    /// Every standard configuration key of OCPP 1.6 §9, its errata and its security extension.
    package static let ocpp16 = SettingsCatalogue(
        core + localList + smartCharging + firmware + security)

    /// Longer than a day no interval of a station makes sense.
    private static let seconds = Kind.integer(0...86_400)
    private static let count = Kind.integer(0...100_000)
    private static let measurands = Kind.suffixed(
        list: Set(Vocabulary.measurands), by: Vocabulary.phases)

    // §9.1
    private static let core: [Definition] = [
        Definition(
            "AllowOfflineTxForUnknownId", .allowOfflineTransactionForUnknownToken, .boolean,
            standard: "false"),
        Definition(
            "AuthorizationCacheEnabled", .authorizationCacheEnabled, .boolean, standard: "true"),
        Definition("AuthorizeRemoteTxRequests", .authorizeRemoteStart, .boolean, standard: "false"),
        // No light of a board blinks so often as somebody says, none can be dimmed.
        Definition("BlinkRepeat", .blinkRepeat, count, isOffered: false),
        Definition(
            "ClockAlignedDataInterval", .clockAlignedIntervalSeconds, seconds, standard: "0"),
        // With 0 no token would ever find a car in time.
        Definition(
            "ConnectionTimeOut", .connectionTimeoutSeconds, .integer(1...86_400), standard: "60"),
        Definition("ConnectorPhaseRotation", .phaseRotation, .list(of: [])),
        Definition("ConnectorPhaseRotationMaxLength", .phaseRotationMaximum, count, .readOnly),
        Definition("GetConfigurationMaxKeys", .maximumKeysPerRead, count, .readOnly),
        Definition("HeartbeatInterval", .heartbeatIntervalSeconds, seconds, standard: "300"),
        Definition(
            "LightIntensity", .lightIntensityPercent, .integer(0...100), isOffered: false),
        Definition("LocalAuthorizeOffline", .localAuthorizeOffline, .boolean, standard: "true"),
        Definition("LocalPreAuthorize", .localPreAuthorize, .boolean, standard: "false"),
        Definition(
            "MaxEnergyOnInvalidId", .maximumEnergyOnInvalidTokenWh, count, standard: "0"),
        Definition(
            "MeterValuesAlignedData", .measurandsAligned, measurands,
            standard: "Energy.Active.Import.Register"),
        Definition("MeterValuesAlignedDataMaxLength", .measurandsAlignedMaximum, count, .readOnly),
        Definition(
            "MeterValuesSampledData", .measurandsSampled, measurands,
            standard: "Energy.Active.Import.Register"),
        Definition("MeterValuesSampledDataMaxLength", .measurandsSampledMaximum, count, .readOnly),
        Definition(
            "MeterValueSampleInterval", .meterSampleIntervalSeconds, seconds, standard: "60"),
        Definition(
            "MinimumStatusDuration", .minimumStatusDurationSeconds, .integer(0...3600),
            standard: "0"),
        Definition("NumberOfConnectors", .connectorCount, .integer(0...64), .readOnly),
        Definition("ResetRetries", .resetRetries, .integer(0...10), standard: "1"),
        Definition(
            "StopTransactionOnEVSideDisconnect", .stopOnVehicleDisconnect, .boolean,
            standard: "true"),
        Definition(
            "StopTransactionOnInvalidId", .stopOnInvalidToken, .boolean, standard: "true"),
        Definition("StopTxnAlignedData", .measurandsStopAligned, measurands, standard: ""),
        Definition("StopTxnAlignedDataMaxLength", .measurandsStopAlignedMaximum, count, .readOnly),
        Definition("StopTxnSampledData", .measurandsStopSampled, measurands, standard: ""),
        Definition("StopTxnSampledDataMaxLength", .measurandsStopSampledMaximum, count, .readOnly),
        Definition("SupportedFeatureProfiles", .supportedProfiles, .list(of: []), .readOnly),
        Definition(
            "SupportedFeatureProfilesMaxLength", .supportedProfilesMaximum, count, .readOnly),
        Definition(
            "TransactionMessageAttempts", .transactionMessageAttempts, .integer(1...1000),
            standard: "3"),
        Definition(
            "TransactionMessageRetryInterval", .transactionMessageRetrySeconds, seconds,
            standard: "60"),
        Definition(
            "UnlockConnectorOnEVSideDisconnect", .unlockOnVehicleDisconnect, .boolean,
            standard: "true"),
        Definition(
            "WebSocketPingInterval", .webSocketPingSeconds, .integer(0...3600), standard: "60"),
    ]

    // §9.2, §9.3
    private static let localList: [Definition] = [
        Definition("LocalAuthListEnabled", .localListEnabled, .boolean, standard: "true"),
        Definition("LocalAuthListMaxLength", .localListMaximum, count, .readOnly),
        Definition("SendLocalListMaxLength", .localListUpdateMaximum, count, .readOnly),
        Definition(
            "ReserveConnectorZeroSupported", .reserveConnectorZero, .boolean, .readOnly,
            standard: "true"),
    ]

    // §9.4
    private static let smartCharging: [Definition] = [
        Definition("ChargeProfileMaxStackLevel", .profileStackLevel, count, .readOnly),
        Definition(
            "ChargingScheduleAllowedChargingRateUnit", .profileUnits, .list(of: []), .readOnly),
        Definition("ChargingScheduleMaxPeriods", .profilePeriods, count, .readOnly),
        Definition("ConnectorSwitch3to1PhaseSupported", .switchesPhases, .boolean, .readOnly),
        Definition("MaxChargingProfilesInstalled", .profileCount, count, .readOnly),
    ]

    // OCPP 1.6 errata: of FTP, FTPS, HTTP, HTTPS and SFTP those that carry firmware and logs.
    private static let firmware: [Definition] = [
        Definition("SupportedFileTransferProtocols", .transferProtocols, .list(of: []), .readOnly)
    ]

    // Improved security for OCPP 1.6-J §2.
    private static let security: [Definition] = [
        Definition("AdditionalRootCertificateCheck", .additionalRootCheck, .boolean, .readOnly),
        Definition(
            "AuthorizationKey", .basicAuthPassword, .hexadecimal(digits: 32...40), .writeOnly),
        Definition("CertificateSignedMaxChainSize", .certificateChainCharacters, count, .readOnly),
        Definition("CertificateStoreMaxLength", .certificateStoreCount, count, .readOnly),
        Definition("CpoName", .operatorName, .text(maximum: 255)),
        Definition("SecurityProfile", .securityProfile, .integer(0...3)),
    ]
}

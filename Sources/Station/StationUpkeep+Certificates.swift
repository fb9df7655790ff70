import Charging
import Crypto
import OCPP
import Service

extension StationUpkeep {
    static let warningDays: Int64 = 30

    func execute(_ order: MaintenanceOrder) async -> (CommandAnswer, mustReconnect: Bool) {
        switch order {
        case .updateFirmware(let order): return (await updateFirmware(order), false)
        case .sendLog(let order): return (sendLog(order), false)
        case .certificateSigned(let chain): return await take(chain: chain)
        case .installRoot(let kind, let pem): return (await install(kind, pem), false)
        case .deleteCertificate(let hash): return (await delete(hash), false)
        case .listRoots(let kind): return (.maintenance(.roots(roots.list(kind))), false)
        // The agent's own.
        case .trigger: return (.status("NotImplemented"), false)
        }
    }

    // MARK: Roots

    private func install(_ kind: RootKind, _ pem: String) async -> CommandAnswer {
        do throws(RootStore.Refusal) {
            try roots.install(kind, pem: pem, at: clock.now.milliseconds / 1000)
        } catch {
            log.warning(
                "root not installed",
                ["kind": kind.rawValue, "reason": String(describing: error)])
            if case .disk = error { return .status("Failed") }
            if case .unfit(let why) = error, kind == .centralSystem {
                await note(.invalidCentralSystemCertificate, why)
            }
            return .status("Rejected")
        }
        await note(.reconfigurationOfSecurityParameters, "\(kind.rawValue) installed")
        return .status("Accepted")
    }

    private func delete(_ hash: CertificateHash) async -> CommandAnswer {
        let isNeeded = credentials.newest.profile >= 2
        do throws(RootStore.Refusal) {
            try roots.delete(hash, isNeeded: isNeeded)
        } catch {
            log.warning("root not deleted", ["reason": String(describing: error)])
            return .status(error == .notThere ? "NotFound" : "Failed")
        }
        await note(.reconfigurationOfSecurityParameters, "certificate deleted")
        return .status("Accepted")
    }

    // MARK: Our own certificate

    /// Makes a key on the board and asks for a certificate. Security white paper §6, A02.
    func requestCertificate() async {
        do {
            let operatorName = settings.text(.operatorName).flatMap { $0.isEmpty ? nil : $0 }
            let (request, key) = try CertificateRequest.make(
                commonName: configuration.commonName, organisation: operatorName)
            try credentials.keep(pendingKey: key)
            let outcome = await agent?.call(.maintenance(.certificateRequested(csr: request)))
            let isAccepted = outcome == .answered(.certificateRequested(isAccepted: true))
            log.notice("certificate requested", ["accepted": isAccepted])
        } catch {
            log.error("certificate not requested", ["error": String(describing: error)])
        }
    }

    private func take(chain pem: String) async -> (CommandAnswer, mustReconnect: Bool) {
        do {
            let name = try store(chain: pem)
            try credentials.propose { $0.certificate = name }
        } catch {
            let why = (error as? ChainRefusal)?.why ?? String(describing: error)
            log.warning("certificate refused", ["reason": why])
            await note(.invalidChargePointCertificate, why)
            return (.status("Rejected"), false)
        }
        await note(.reconfigurationOfSecurityParameters, "certificate of the station")
        // In the lower profiles it waits until the profile is raised.
        return (.status("Accepted"), credentials.newest.profile == 3)
    }

    private struct ChainRefusal: Error { var why: String }

    /// Checks a certificate against our request, and keeps it under its own name.
    private func store(chain pem: String) throws -> String {
        guard pem.unicodeScalars.count <= roots.limits.chainCharacters else {
            throw ChainRefusal(why: "the chain is longer than CertificateSignedMaxChainSize")
        }
        let chain = try Certificate.all(pem: pem)
        guard let key = credentials.pendingKey else {
            throw ChainRefusal(why: "no certificate was asked for")
        }
        guard let own = chain.first, own.matches(privateKeyPEM: key) else {
            throw ChainRefusal(why: "it is not for the key of the request")
        }
        guard own.commonName == configuration.commonName else {
            throw ChainRefusal(why: "its common name is not \(configuration.commonName)")
        }
        let operatorName = settings.text(.operatorName) ?? ""
        if !operatorName.isEmpty, let organisation = own.organisation, organisation != operatorName
        {
            throw ChainRefusal(why: "its organisation is not CpoName")
        }
        let refusal = own.refusal(
            between: Array(chain.dropFirst()),
            roots: roots.roots(.centralSystem).map(\.certificate),
            at: clock.now.milliseconds / 1000)
        if let refusal { throw ChainRefusal(why: refusal) }
        let name = "certificate-\(own.fingerprint.prefix(16))"
        let text = try chain.map { try $0.pem() }.joined()
        try credentials.keep(chain: text, key: key, name: name)
        return name
    }

    /// Warns of an end that is near, and asks for a new one where the link depends on it.
    func lookAtCertificate() async {
        guard let pem = credentials.certificateInForce, let own = try? Certificate(pem: pem) else {
            return
        }
        let days = (own.notAfter - clock.now.milliseconds / 1000) / 86_400
        guard days < Self.warningDays else { return }
        log.warning("certificate ends soon", ["days": days])
        if credentials.current.profile == 3, isRegistered { await requestCertificate() }
    }
}

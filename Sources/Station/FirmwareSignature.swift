import Crypto
import Service

/// Whether a firmware is the manufacturer's. The agent asks before it hands a file over, root's helper
/// asks again with roots that only root can change. Security white paper §5.1.
enum FirmwareSignature {
    /// Why a signer's certificate is not one of the manufacturer's; nil if it is.
    static func refusal(
        ofSigner pem: String, roots: [Certificate], at seconds: Int64
    ) -> String? {
        // What cannot be read certifies nothing.
        guard let chain = try? Certificate.all(pem: pem), let signer = chain.first else {
            return "no certificate"
        }
        return signer.refusal(between: Array(chain.dropFirst()), roots: roots, at: seconds)
    }

    /// Whether a signer that is not refused has signed a file with this hash.
    static func isGenuine(
        sha256 hash: [UInt8], signer pem: String, signature: String, roots: [Certificate],
        at seconds: Int64
    ) -> Bool {
        guard let signature = Base64.decodeLeniently(signature.filter { !$0.isWhitespace }),
            refusal(ofSigner: pem, roots: roots, at: seconds) == nil,
            let signer = try? Certificate(pem: pem)  // See above.
        else { return false }
        return signer.signed(sha256: hash, signature: signature)
    }
}

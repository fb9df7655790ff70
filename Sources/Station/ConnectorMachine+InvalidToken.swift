import Charging

extension ConnectorMachine {
    /// True while a charge may draw under its token: an accepted one, or one that was refused where
    /// the operator lets a stranded car have enough to drive away. What was drawn before the refusal
    /// counts: nothing of it is paid. OCPP 1.6 §4.8, §9.1 MaxEnergyOnInvalidId.
    func mayDraw(_ transaction: Transaction) -> Bool {
        transaction.isAccepted
            || transaction.lastRegister - transaction.startRegister
                < rules.maximumEnergyOnInvalidToken
    }
}

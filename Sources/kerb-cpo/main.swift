import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "tariffs": exit(TariffsCommand.run(Array(arguments.dropFirst())))
default:
    print("kerb-cpo: no such command")
    exit(2)
}

#pragma once
#include <modbus.h>
#include <modbus-rtu.h>
#include <modbus-tcp.h>

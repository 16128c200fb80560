#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

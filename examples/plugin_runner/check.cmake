# Runs the plugin runner as a person would, and looks for what that person should see.
if(SANITIZERS MATCHES address)
    message("[skipped] AddressSanitizer ends a process that gets no memory, before the plugin can say so")
    return()
endif()
execute_process(COMMAND ${RUNNER} ${INPUT} ${PLUGINS} OUTPUT_VARIABLE output RESULT_VARIABLE code)
message("${output}")
if(NOT code EQUAL 0)
    message(FATAL_ERROR "ended with ${code}")
endif()

# What must be there of a plugin, held in one of the ways.
function(expect held plugin)
    foreach(expected ${ARGN})
        if(NOT output MATCHES "\n${plugin}\\.so\n([^\n]+\n)*  ${held} +([^\n]+\n                   )*${expected}")
            message(FATAL_ERROR "not there, of ${plugin}.so, ${held}: ${expected}")
        endif()
    endforeach()
endfunction()

set(rules "rules alone")
set(isolation "isolation alone")
foreach(held ${rules} ${isolation} both)
    expect(${held} statistics "returned: text, [0-9]+ lines")
    expect(${held} endless "the function was ended because its wall-clock time of 1000 ms was over")
    expect(${held} crashing "the function was ended by SIGSEGV")
    expect(${held} hungry "the function could not get the memory it asked for")
endforeach()
foreach(held ${rules} both)
    expect(${held} nosy
        "the function was killed for a system call that its policy forbids: (clone|vfork)"
        "refused: open[a-z0-9]*\\([^\n]*path=\"/etc/shadow\""
        "refused: socket\\(domain=2, type=2, protocol=0\\)"
        "it says: read /etc/shadow: Permission denied"
        "it says: reach the network: Permission denied"
        "it says: spawn a shell: *\n")
endforeach()
expect("from a pool" statistics "did its job 200 times of 200")

# A machine may not offer all of the isolation; the runner says what it does not.
expect(${isolation} nosy "returned: still here")
if(NOT output MATCHES "not offered here: [^\n]*file access")
    expect(${isolation} nosy
        "it says: read /etc/shadow: Permission denied"
        "it says: spawn a shell: (Permission denied|failed)")
endif()
if(NOT output MATCHES "not offered here: [^\n]*network namespace")
    expect(${isolation} nosy "it says: reach the network: Network is unreachable")
endif()
if(NOT output MATCHES "not offered here" AND output MATCHES "WORKED")
    message(FATAL_ERROR "a plugin got through")
endif()
if(NOT output MATCHES "1 of 5 plugins did their job")
    message(FATAL_ERROR "not one plugin did its job")
endif()

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
foreach(expected
        "statistics.so did its job: text, [0-9]+ lines"
        "nosy.so      the function was killed for a system call that its policy forbids: (clone|vfork)"
        "refused: open[a-z0-9]*\\([^\n]*path=\"/etc/shadow\""
        "refused: socket\\(domain=2, type=1, protocol=0\\)"
        "it says: read /etc/shadow: Permission denied"
        "it says: open a socket: Permission denied"
        "it says: spawn a shell: *\n"
        "endless.so   the function was ended because its wall-clock time of 1000 ms was over"
        "crashing.so  the function was ended by SIGSEGV"
        "hungry.so    the function could not get the memory it asked for"
        "1 of 5 plugins did their job")
    if(NOT output MATCHES "${expected}")
        message(FATAL_ERROR "not there: ${expected}")
    endif()
endforeach()
if(output MATCHES "WORKED")
    message(FATAL_ERROR "a plugin got through")
endif()

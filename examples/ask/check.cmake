# Asks as a person would be asked, and answers as one would. A program that connects to a port where nobody listens tells
# by its error whether the call was refused or ran.
find_program(BASH bash)
if(NOT BASH)
    message("[skipped] there is no bash to be asked about")
    return()
endif()
file(REAL_PATH ${BASH} BASH)
set(temporary "$ENV{TMPDIR}")
if(NOT temporary)
    set(temporary /tmp)
endif()
string(RANDOM LENGTH 12 name)
set(WORK ${temporary}/sysguard.ask.${name})
file(MAKE_DIRECTORY ${WORK})
# A shell without SHELL asks nscd who its user is.
set(ENV{SHELL} ${BASH})
set(connects ${BASH} -c "exec 3<>/dev/tcp/127.0.0.1/1")

function(ask input expected_code)
    file(WRITE ${WORK}/input "${input}")
    execute_process(COMMAND ${ASK} ${ARGN} INPUT_FILE ${WORK}/input
        OUTPUT_VARIABLE output ERROR_VARIABLE error RESULT_VARIABLE code)
    set(output "${output}${error}" PARENT_SCOPE)
    if(NOT code EQUAL expected_code)
        file(REMOVE_RECURSE ${WORK})
        message(FATAL_ERROR "${ARGN} ended with ${code}, not ${expected_code}:\n${output}${error}")
    endif()
endfunction()

function(expect text regex)
    if(NOT text MATCHES "${regex}")
        file(REMOVE_RECURSE ${WORK})
        message(FATAL_ERROR "not there: ${regex}\n${text}")
    endif()
endfunction()

# Nobody answers: the end of the input is no yes.
ask("" 1 --log ${WORK}/log ${connects})
expect("${output}" "bash \\(pid [0-9]+\\) calls socket\\(domain=2, type=1, protocol=6\\) \\(system call [0-9]+\\)")
expect("${output}" "Operation not permitted")
file(READ ${WORK}/log log)
expect("${log}" "pid=[0-9]+ program=${BASH} call=socket\\(.*answer=deny by=person")

# Yes to the socket, no clear yes to the connection.
ask("y\nyeah\n" 1 ${connects})
expect("${output}" "connect\\(fd=[0-9]+, addr=127.0.0.1:1, addrlen=16\\)")
expect("${output}" "Operation not permitted")

if(DEFINED ENV{SYSGUARD_IN_CONTAINER})
    file(REMOVE_RECURSE ${WORK})
    message("[skipped] not offered here: connecting on a worker's behalf, as pidfd_getfd is refused")
    return()
endif()

# Yes to both: it runs, and finds nobody there.
ask("y\ny\n" 1 ${connects})
expect("${output}" "Connection refused")

# Always, for this program: the next run does not ask.
ask("a\na\n" 1 --answers ${WORK}/answers ${connects})
expect("${output}" "Connection refused")
ask("" 1 --answers ${WORK}/answers --log ${WORK}/log ${connects})
expect("${output}" "Connection refused")
file(READ ${WORK}/log log)
expect("${log}" "call=connect\\(.*answer=allow by=saved")
ask("" 0 --answers ${WORK}/answers --list)
expect("${output}" "allow connect ${BASH}\nallow socket ${BASH}")
ask("" 0 --answers ${WORK}/answers --remove ${BASH} connect)
expect("${output}" "removed 1")
ask("" 1 --answers ${WORK}/answers --default deny ${connects})
expect("${output}" "Operation not permitted")
ask("" 0 --answers ${WORK}/answers --set ${BASH} "*" deny)
ask("" 127 --answers ${WORK}/answers --default allow --ask openat ${connects})
expect("${output}" "cannot open shared object file: Operation not permitted")

# A child is asked about like its parent.
ask("" 1 ${BASH} -c "(exec 3<>/dev/tcp/127.0.0.1/1)")
expect("${output}" "Operation not permitted")

# A damaged file of answers is an error.
file(WRITE ${WORK}/answers "perhaps connect ${BASH}\n")
ask("" 125 --answers ${WORK}/answers ${connects})
expect("${output}" "line 1")

# What is not asked about runs untouched.
ask("" 7 ${BASH} -c "cat /dev/null && exit 7")
file(REMOVE_RECURSE ${WORK})
